// Figures of a control group: the kernel's counters in one shape for version 1 and 2.

import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { InstanceStats } from '../core/index.ts';
import { type CgroupHost, cgroupFolder, cgroupHost } from './cgroup.ts';
import { readIfExists } from './files.ts';
import { readNow, readPressures } from './pressure.ts';

/** A version 1 limit at or above this is the kernel's way of saying none. */
const NO_LIMIT = 2 ** 60;
/** Kernel clock ticks, the unit of cpuacct.stat; fixed for user space on Linux. */
const NS_PER_TICK = 10_000_000;

/** Lines of `key value` as numbers; other lines are passed over. */
export function parseFlat(text: string): Record<string, number> {
  const figures: Record<string, number> = {};
  for (const line of text.split('\n')) {
    const cut = line.lastIndexOf(' ');
    const value = Number(line.slice(cut + 1));
    if (cut > 0 && Number.isFinite(value)) figures[line.slice(0, cut)] = value;
  }
  return figures;
}

/** Traffic over all devices, from blkio.throttle.io_service_bytes or io.stat. */
export function parseBlockIo(text: string): { readBytes: number; writeBytes: number } {
  const [readBytes, writeBytes] = directions(text, 'bytes');
  return { readBytes, writeBytes };
}

/** A line a device and direction in version 1, a line a device with rbytes= or rios= and so on in version 2. */
function directions(text: string, unit: 'bytes' | 'ios'): [read: number, write: number] {
  const totals: [number, number] = [0, 0];
  for (const [, direction, count] of text.matchAll(/^\d+:\d+ (Read|Write) (\d+)$/gm))
    totals[direction === 'Read' ? 0 : 1] += Number(count);
  for (const [, direction, count] of text.matchAll(new RegExp(` ([rw])${unit}=(\\d+)`, 'g')))
    totals[direction === 'r' ? 0 : 1] += Number(count);
  return totals;
}

function blockFigures(bytes: string | undefined, operations: string | undefined): InstanceStats['block'] {
  if (bytes === undefined) return undefined;
  const counts = operations === undefined ? undefined : directions(operations, 'ios');
  return {
    ...parseBlockIo(bytes),
    ...(counts === undefined ? {} : { readOperations: counts[0], writeOperations: counts[1] }),
  };
}

/**
 * The group's figures now; those the kernel does not offer are absent or 0. Read at once and without waiting: these are
 * a dozen small texts that the kernel makes up, and to hand each to another thread would cost more than reading it.
 */
export async function readCgroupStats(path: string, host: CgroupHost = cgroupHost()): Promise<InstanceStats> {
  const read = (controller: string) => (file: string) => {
    const folder = cgroupFolder(path, controller, host);
    return folder === undefined ? undefined : readNow(join(folder, file));
  };
  const v1 = host.version === 1;
  const block = v1 ? blockV1(read('blkio')) : blockV2(read('io'));
  const pressure =
    host.unified === undefined ? undefined : readPressures(join(host.unified, path), '.pressure');
  return {
    readAt: new Date().toISOString(),
    memory: v1 ? memoryV1(read('memory')) : memoryV2(read('memory')),
    cpu: v1 ? cpuV1(read('cpuacct'), read('cpu')) : cpuV2(read('cpu')),
    pids: pidsOf(read('pids')),
    ...(block === undefined ? {} : { block }),
    ...(pressure === undefined ? {} : { pressure }),
  };
}

type Read = (file: string) => string | undefined;

function blockV1(read: Read): InstanceStats['block'] {
  // With what groups below it did, where the kernel sums that up.
  const counted = (file: string) => read(`${file}_recursive`) ?? read(file);
  return blockFigures(counted('blkio.throttle.io_service_bytes'), counted('blkio.throttle.io_serviced'));
}

function blockV2(read: Read): InstanceStats['block'] {
  const text = read('io.stat');
  return blockFigures(text, text);
}

/** `{ [key]: number }`, or nothing where the kernel has no such figure. */
function figure<K extends string>(key: K, text: string | number | undefined): { [P in K]?: number } {
  const value = text === undefined || text === '' ? Number.NaN : Number(text);
  return Number.isNaN(value) ? {} : ({ [key]: value } as { [P in K]: number });
}

function memoryV1(read: Read): InstanceStats['memory'] {
  const detail = parseFlat(read('memory.stat') ?? '');
  const limitBytes = Number(read('memory.limit_in_bytes') ?? NO_LIMIT);
  return {
    usageBytes: Number(read('memory.usage_in_bytes') ?? 0),
    ...(limitBytes < NO_LIMIT ? { limitBytes } : {}),
    cacheBytes: detail['total_inactive_file'] ?? detail['cache'] ?? 0,
    ...figure('swapBytes', detail['total_swap'] ?? detail['swap']),
    ...figure('peakBytes', read('memory.max_usage_in_bytes')),
    ...figure('oomKills', parseFlat(read('memory.oom_control') ?? '')['oom_kill']),
    detail,
  };
}

function memoryV2(read: Read): InstanceStats['memory'] {
  const detail = parseFlat(read('memory.stat') ?? '');
  const limit = read('memory.max')?.trim();
  const limited = limit !== undefined && limit !== 'max';
  return {
    usageBytes: Number(read('memory.current') ?? 0),
    ...(limited ? { limitBytes: Number(limit) } : {}),
    cacheBytes: detail['inactive_file'] ?? 0,
    ...figure('swapBytes', read('memory.swap.current')),
    ...figure('peakBytes', read('memory.peak')),
    ...figure('oomKills', parseFlat(read('memory.events') ?? '')['oom_kill']),
    detail,
  };
}

function cpuV1(readAccount: Read, read: Read): InstanceStats['cpu'] {
  const parts = parseFlat(readAccount('cpuacct.stat') ?? '');
  const throttling = parseFlat(read('cpu.stat') ?? '');
  return {
    totalNs: Number(readAccount('cpuacct.usage') ?? 0),
    userNs: (parts['user'] ?? 0) * NS_PER_TICK,
    systemNs: (parts['system'] ?? 0) * NS_PER_TICK,
    throttledNs: throttling['throttled_time'] ?? 0,
    throttledPeriods: throttling['nr_throttled'] ?? 0,
    periods: throttling['nr_periods'] ?? 0,
  };
}

function cpuV2(read: Read): InstanceStats['cpu'] {
  const stat = parseFlat(read('cpu.stat') ?? '');
  return {
    totalNs: (stat['usage_usec'] ?? 0) * 1000,
    userNs: (stat['user_usec'] ?? 0) * 1000,
    systemNs: (stat['system_usec'] ?? 0) * 1000,
    throttledNs: (stat['throttled_usec'] ?? 0) * 1000,
    throttledPeriods: stat['nr_throttled'] ?? 0,
    periods: stat['nr_periods'] ?? 0,
  };
}

function pidsOf(read: Read): InstanceStats['pids'] {
  const max = read('pids.max');
  const limited = max !== undefined && max.trim() !== 'max';
  return { current: Number(read('pids.current') ?? 0), ...(limited ? { limit: Number(max) } : {}) };
}

/** How many processes the kernel has killed for want of memory in the group (and, on version 2, below it). */
export async function readOomKills(path: string, host: CgroupHost = cgroupHost()): Promise<number> {
  const folder = cgroupFolder(path, 'memory', host);
  if (folder === undefined) return 0;
  const file = host.version === 1 ? 'memory.oom_control' : 'memory.events';
  const own = parseFlat((await readIfExists(join(folder, file))) ?? '')['oom_kill'] ?? 0;
  if (host.version === 2) return own;
  const entries = await readdir(folder, { withFileTypes: true }).catch(() => []);
  const below = await Promise.all(
    entries.filter((item) => item.isDirectory()).map((item) => readOomKills(join(path, item.name), host)),
  );
  return below.reduce((sum, count) => sum + count, own);
}
