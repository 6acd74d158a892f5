// A VM's limits by who enforces them: the host for all that is QEMU's, QEMU for the disks, the guest for its workload.

import { existsSync } from 'node:fs';
import { BerthError, type DeviceLimit, type DeviceLimits, type ResourceSpec } from '../../core/index.ts';
import { diskNumber } from '../../host/index.ts';

/** QEMU's own memory beside the guest's: code, devices, and under TCG the translated code. */
export const MONITOR_MEMORY_BYTES = 192 << 20;

const HOST_LIMITS = [
  ...(['cpus', 'cpuShares', 'cpusetCpus', 'cpusetMems'] as const),
  ...(['blkioWeight', 'deviceWeights'] as const),
] as const;
const RATES = ['deviceReadBps', 'deviceWriteBps', 'deviceReadIops', 'deviceWriteIops'] as const;

/** The disks by the names that the guest has for them. */
const OWN_DISKS = ['/dev/vda', '/dev/vdb'];

/** What the cgroup is for: a machine of so much memory, and whether folders of the host are served to it beside QEMU. */
export interface HostGroup {
  readonly memoryBytes: number;
  readonly sharesFolders: boolean;
}

/**
 * Those of the cgroup that QEMU runs in: memory and its reservation are the guest's plus what QEMU needs itself, and as much
 * of it may be swapped out as the user allows.
 */
export function hostLimits(resources: ResourceSpec, group: HostGroup): Partial<ResourceSpec> {
  const { memoryReservationBytes } = resources;
  const memoryBytes = group.memoryBytes + MONITOR_MEMORY_BYTES;
  return {
    ...Object.fromEntries(
      HOST_LIMITS.filter((name) => resources[name] !== undefined).map((name) => [name, resources[name]]),
    ),
    ...(group.sharesFolders ? sharedRates(resources) : {}),
    memoryBytes,
    ...swapLimit(resources, group.memoryBytes),
    ...(memoryReservationBytes === undefined
      ? {}
      : { memoryReservationBytes: memoryReservationBytes + MONITOR_MEMORY_BYTES }),
  };
}

function swapLimit(
  { memoryBytes, memorySwapBytes }: ResourceSpec,
  machineBytes: number,
): Pick<ResourceSpec, 'memorySwapBytes'> {
  if (memorySwapBytes === undefined || memorySwapBytes === -1)
    return memorySwapBytes === undefined ? {} : { memorySwapBytes };
  const swapBytes = Math.max(0, memorySwapBytes - (memoryBytes ?? machineBytes));
  return { memorySwapBytes: machineBytes + MONITOR_MEMORY_BYTES + swapBytes };
}

/** What goes through shared folders passes QEMU's disks by: it is limited where it reaches the host's. */
function sharedRates(resources: ResourceSpec): DeviceLimits {
  const onHost = (limits: readonly DeviceLimit[]) => limits.filter(({ path }) => isOnHost(path));
  return Object.fromEntries(RATES.map((kind) => [kind, onHost(resources[kind] ?? [])]));
}

/** A host may have disks of the same names. */
function isOnHost(path: string): boolean {
  return !OWN_DISKS.includes(path) || existsSync(path);
}

/** Those that the guest enforces on its workload. */
export function guestLimits(resources: ResourceSpec): { memory?: number; pids_max?: number } {
  const { memoryBytes, pidsLimit } = resources;
  return {
    ...(memoryBytes === undefined ? {} : { memory: memoryBytes }),
    ...(pidsLimit === undefined || pidsLimit <= 0 ? {} : { pids_max: pidsLimit }),
  };
}

/** The most that QEMU takes for a rate: what is more is no limit to any disk. */
const MOST_RATE = 1e15;

/**
 * Those that QEMU enforces on the machine's disks, both together. They lie in files: which disk of the host those are on
 * is no matter of the guest's, so that a limit for any device is one for them, and the lowest counts.
 */
export function diskLimits(resources: ResourceSpec) {
  const lowest = (limits: readonly DeviceLimit[] | undefined) =>
    limits === undefined || limits.length === 0
      ? undefined
      : Math.min(MOST_RATE, ...limits.map(({ value }) => value));
  return {
    disk_read_bps: lowest(resources.deviceReadBps),
    disk_write_bps: lowest(resources.deviceWriteBps),
    disk_read_iops: lowest(resources.deviceReadIops),
    disk_write_iops: lowest(resources.deviceWriteIops),
  };
}

/** Fails with `invalid-argument` for what is a disk neither of the host nor of the guest. */
export function checkDisks(resources: ResourceSpec): void {
  const { deviceReadBps, deviceWriteBps, deviceReadIops, deviceWriteIops, deviceWeights } = resources;
  const rates = [deviceReadBps, deviceWriteBps, deviceReadIops, deviceWriteIops].flatMap(
    (list) => list ?? [],
  );
  for (const { path } of rates) if (!OWN_DISKS.includes(path)) diskNumber(path);
  for (const { path } of deviceWeights ?? []) diskNumber(path);
}

/** What a machine has that runs, which no limit can go beyond. */
export interface MachineSize {
  readonly memoryBytes: number;
  readonly cpus: number;
}

/** Fails with `unsupported` for what a running machine cannot be given. */
export function checkGrowth(id: string, size: MachineSize, wanted: MachineSize): void {
  if (wanted.memoryBytes > size.memoryBytes)
    throw new BerthError(
      'unsupported',
      `VM ${id} runs with ${size.memoryBytes >> 20} MiB of memory and cannot get more before its next start: stop it, update it, start it`,
    );
  if (wanted.cpus > size.cpus)
    throw new BerthError(
      'unsupported',
      `VM ${id} runs with ${size.cpus} virtual CPU${size.cpus === 1 ? '' : 's'} and cannot get more before its next start: stop it, update it, start it`,
    );
}
