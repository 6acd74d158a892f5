// Resource limits as control-group files. What is written is decided by one pure function, so that it can be tested
// without a kernel; a container's first limits are written by the OCI runtime, later ones and a VM's by this.

import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { BerthError, type ResourceSpec } from '../core/index.ts';
import { type CgroupHost, cgroupFolder, cgroupHost } from './cgroup.ts';

export const CPU_PERIOD_US = 100_000;

export interface CgroupWrite {
  readonly controller: string;
  readonly file: string;
  readonly value: string;
  /** Kernels may lack the file (swap accounting, I/O scheduler): then the limit is left out rather than failing. */
  readonly optional: boolean;
}

/** Docker's CPU shares (2-262144) on version 2's scale of weights (1-10000), as the OCI runtimes convert them. */
export function cpuWeight(shares: number): number {
  return Math.floor(1 + ((Math.max(shares, 2) - 2) * 9999) / 262142);
}

/** Docker's blkio weight (10-1000) on version 2's io.weight scale (1-10000). */
export function ioWeight(weight: number): number {
  return Math.floor(1 + ((weight - 10) * 9999) / 990);
}

/** The files to write for the limits that are given; an absent limit leaves its file alone. Order matters not. */
export function cgroupWrites(resources: Partial<ResourceSpec>, version: 1 | 2): CgroupWrite[] {
  return version === 1 ? writesV1(resources) : writesV2(resources);
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

/** Puts the limits that are given into effect. Fails with `invalid-argument` naming the file when the kernel refuses. */
export async function limitCgroup(
  path: string,
  resources: Partial<ResourceSpec>,
  host: CgroupHost = cgroupHost(),
): Promise<void> {
  for (const write of await ordered(path, cgroupWrites(resources, host.version), host)) {
    const folder = cgroupFolder(path, write.controller, host);
    if (folder === undefined && write.optional) continue;
    if (folder === undefined)
      throw new BerthError('unsupported', `this host has no ${write.controller} cgroup controller`);
    await writeFile(join(folder, write.file), write.value).catch((cause: NodeJS.ErrnoException) => {
      if (write.optional && (cause.code === 'ENOENT' || cause.code === 'EACCES')) return;
      throw new BerthError(
        'invalid-argument',
        `cannot set ${write.file} to ${write.value}: ${cause.message}`,
        {
          cause,
        },
      );
    });
  }
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
