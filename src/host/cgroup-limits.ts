// Resource limits as control-group files. What is written is decided by one pure function, so that it can be tested
// without a kernel; a container's first limits are written by the OCI runtime, later ones and a VM's by this.

import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { BerthError, type ResourceSpec } from '../core/index.ts';
import { type DeviceNumber, diskNumber } from './block-device.ts';
import { type CgroupHost, cgroupFolder, cgroupHost } from './cgroup.ts';
import { deviceWrites, formerLine } from './cgroup-devices.ts';
import { type CgroupWrite, cpuWeight, ioWeight } from './cgroup-write.ts';
import { readIfExists } from './files.ts';

export const CPU_PERIOD_US = 100_000;

/** The files to write for the limits that are given; an absent limit leaves its file alone. Order matters not. */
export function cgroupWrites(
  resources: Partial<ResourceSpec>,
  version: 1 | 2,
  numberOf: (path: string) => DeviceNumber = diskNumber,
): CgroupWrite[] {
  const devices = deviceWrites(resources, version, numberOf);
  return [...(version === 1 ? writesV1(resources) : writesV2(resources)), ...devices];
}

function entry(
  controller: string,
  file: string,
  value: string | number | undefined,
  optional = false,
): CgroupWrite[] {
  return value === undefined
    ? []
    : [{ controller, file: `${controller}.${file}`, value: `${value}`, optional }];
}

function writesV1(limits: Partial<ResourceSpec>): CgroupWrite[] {
  const quota = limits.cpus === undefined ? undefined : Math.round(limits.cpus * CPU_PERIOD_US);
  return [
    ...entry('memory', 'limit_in_bytes', limits.memoryBytes),
    ...entry('memory', 'memsw.limit_in_bytes', limits.memorySwapBytes, true),
    ...entry('memory', 'soft_limit_in_bytes', limits.memoryReservationBytes),
    ...entry('cpu', 'cfs_period_us', quota === undefined ? undefined : CPU_PERIOD_US),
    ...entry('cpu', 'cfs_quota_us', quota),
    ...entry('cpu', 'shares', limits.cpuShares),
    ...entry('cpuset', 'cpus', limits.cpusetCpus),
    ...entry('cpuset', 'mems', limits.cpusetMems),
    ...entry('pids', 'max', pidsMax(limits.pidsLimit)),
    ...entry('blkio', 'weight', limits.blkioWeight, true),
    ...entry('blkio', 'bfq.weight', limits.blkioWeight, true),
  ];
}

function writesV2(limits: Partial<ResourceSpec>): CgroupWrite[] {
  const { cpus, cpuShares, blkioWeight } = limits;
  return [
    ...entry('memory', 'max', limits.memoryBytes),
    ...entry('memory', 'swap.max', swapMax(limits), true),
    ...entry('memory', 'low', limits.memoryReservationBytes),
    ...entry(
      'cpu',
      'max',
      cpus === undefined ? undefined : `${Math.round(cpus * CPU_PERIOD_US)} ${CPU_PERIOD_US}`,
    ),
    ...entry('cpu', 'weight', cpuShares === undefined ? undefined : cpuWeight(cpuShares)),
    ...entry('cpuset', 'cpus', limits.cpusetCpus),
    ...entry('cpuset', 'mems', limits.cpusetMems),
    ...entry('pids', 'max', pidsMax(limits.pidsLimit)),
    ...entry('io', 'weight', blkioWeight === undefined ? undefined : ioWeight(blkioWeight), true),
    ...entry('io', 'bfq.weight', blkioWeight, true),
  ];
}

function pidsMax(limit: number | undefined): string | undefined {
  if (limit === undefined) return undefined;
  return limit > 0 ? `${limit}` : 'max';
}

/** Version 2 counts swap alone, Docker's figure counts memory and swap. */
function swapMax(limits: Partial<ResourceSpec>): string | undefined {
  if (limits.memorySwapBytes === undefined) return undefined;
  if (limits.memorySwapBytes === -1) return 'max';
  return `${Math.max(0, limits.memorySwapBytes - (limits.memoryBytes ?? 0))}`;
}

/**
 * Puts the limits that are given into effect, all or none: fails with `invalid-argument` naming the file when the kernel
 * refuses one, or with `conflict` when more memory is in use than is to be had. Resolves to what undoes it.
 */
export async function limitCgroup(
  path: string,
  resources: Partial<ResourceSpec>,
  host: CgroupHost = cgroupHost(),
): Promise<() => Promise<void>> {
  const writes = await ordered(path, cgroupWrites(resources, host.version), host);
  const former: { readonly file: string; readonly value: string }[] = [];
  const undo = async () => {
    // What was written last goes first, so that limits that must be ordered are so again.
    for (const { file, value } of former.splice(0).reverse()) await writeFile(file, value).catch(() => {});
  };
  try {
    for (const write of writes) {
      const folder = cgroupFolder(path, write.controller, host);
      if (folder === undefined && write.optional) continue;
      if (folder === undefined)
        throw new BerthError('unsupported', `this host has no ${write.controller} cgroup controller`);
      const file = join(folder, write.file);
      const before = await readIfExists(file);
      if (write.file === 'memory.max') await makeRoom(folder, Number(write.value));
      await put(file, write);
      if (before !== undefined) former.push({ file, value: formerValue(write, before) });
    }
  } catch (error) {
    await undo();
    throw error;
  }
  return undo;
}

async function put(file: string, write: CgroupWrite): Promise<void> {
  await writeFile(file, write.value).catch((cause: NodeJS.ErrnoException) => {
    if (write.optional && LACKING.has(cause.code ?? '')) return;
    // Version 1 gives back what it can, and says so when that is not enough.
    if (cause.code === 'EBUSY' && write.file.startsWith('memory.')) throw tooMuchInUse(write.value, cause);
    if (cause.code === 'ENOENT')
      throw new BerthError('unsupported', `this kernel has no ${write.file}: leave that limit out`, {
        cause,
      });
    throw new BerthError('invalid-argument', `cannot set ${write.file} to ${write.value}: ${cause.message}`, {
      cause,
    });
  });
}

/** No file, none that may be written, or a scheduler that does not weigh. */
const LACKING: ReadonlySet<string> = new Set(['ENOENT', 'EACCES', 'ENOTSUP', 'EOPNOTSUPP']);

function formerValue(write: CgroupWrite, text: string): string {
  const { device } = write;
  return device === undefined ? text.trim() : formerLine({ ...write, device }, text);
}

function tooMuchInUse(limit: string | number, cause?: unknown): BerthError {
  return new BerthError(
    'conflict',
    `cannot limit memory to ${limit} bytes: more is in use and cannot be given back; give a higher limit, or stop it first`,
    { cause },
  );
}

/** Version 2 kills where the limit falls below what is in use: that is given back first, or the limit refused. */
async function makeRoom(folder: string, limitBytes: number): Promise<void> {
  const over = async () => Number((await readIfExists(join(folder, 'memory.current'))) ?? 0) - limitBytes;
  const excess = await over();
  if (!(excess > 0)) return;
  // Fails when not all of it could be reclaimed; kernels before 5.19 lack the file.
  await writeFile(join(folder, 'memory.reclaim'), `${excess}`).catch(() => {});
  if ((await over()) > 0) throw tooMuchInUse(limitBytes);
}

/** Version 1 demands limit <= limit with swap at every moment: when raising, the latter must go first. */
async function ordered(path: string, writes: CgroupWrite[], host: CgroupHost): Promise<CgroupWrite[]> {
  const swap = writes.find((write) => write.file === 'memory.memsw.limit_in_bytes');
  const folder = cgroupFolder(path, 'memory', host);
  if (swap === undefined || folder === undefined) return writes;
  const now = await readFile(join(folder, swap.file), 'utf8').catch(() => undefined);
  const raising = swap.value === '-1' || (now !== undefined && BigInt(swap.value) > BigInt(now.trim()));
  return raising ? [swap, ...writes.filter((write) => write !== swap)] : writes;
}
