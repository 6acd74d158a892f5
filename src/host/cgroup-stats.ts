// Figures of a control group: the kernel's counters in one shape for version 1 and 2.

import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { InstanceStats } from '../core/index.ts';
import { type CgroupHost, cgroupFolder, cgroupHost } from './cgroup.ts';
import { readIfExists } from './files.ts';

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

/** Bytes read and written over all devices, from blkio.throttle.io_service_bytes or io.stat. */
export function parseBlockIo(text: string): { readBytes: number; writeBytes: number } {
  const total = { readBytes: 0, writeBytes: 0 };
  for (const line of text.split('\n')) {
    const v1 = /^\d+:\d+ (Read|Write) (\d+)$/.exec(line);
    if (v1) total[v1[1] === 'Read' ? 'readBytes' : 'writeBytes'] += Number(v1[2]);
    total.readBytes += Number(/ rbytes=(\d+)/.exec(line)?.[1] ?? 0);
    total.writeBytes += Number(/ wbytes=(\d+)/.exec(line)?.[1] ?? 0);
  }
  return total;
}

/** The group's figures now; those the kernel does not offer are absent or 0. */
export async function readCgroupStats(path: string, host: CgroupHost = cgroupHost()): Promise<InstanceStats> {
  const read = (controller: string) => async (file: string) => {
    const folder = cgroupFolder(path, controller, host);
    return folder === undefined ? undefined : readIfExists(join(folder, file));
  };
  const [memory, cpu, pids, block] = await Promise.all([
    host.version === 1 ? memoryV1(read('memory')) : memoryV2(read('memory')),
    host.version === 1 ? cpuV1(read('cpuacct'), read('cpu')) : cpuV2(read('cpu')),
    pidsOf(read('pids')),
    host.version === 1 ? read('blkio')('blkio.throttle.io_service_bytes') : read('io')('io.stat'),
  ]);
  return {
    readAt: new Date().toISOString(),
    memory,
    cpu,
    pids,
    ...(block === undefined ? {} : { block: parseBlockIo(block) }),
  };
}

type Read = (file: string) => Promise<string | undefined>;

async function memoryV1(read: Read): Promise<InstanceStats['memory']> {
  const [usage, limit, stat] = await Promise.all(
    ['memory.usage_in_bytes', 'memory.limit_in_bytes', 'memory.stat'].map(read),
  );
  const detail = parseFlat(stat ?? '');
  const limitBytes = Number(limit ?? NO_LIMIT);
  return {
    usageBytes: Number(usage ?? 0),
    ...(limitBytes < NO_LIMIT ? { limitBytes } : {}),
    cacheBytes: detail['total_inactive_file'] ?? detail['cache'] ?? 0,
    detail,
  };
}

async function memoryV2(read: Read): Promise<InstanceStats['memory']> {
  const [usage, limit, stat] = await Promise.all(['memory.current', 'memory.max', 'memory.stat'].map(read));
  const detail = parseFlat(stat ?? '');
  const limited = limit !== undefined && limit.trim() !== 'max';
  return {
    usageBytes: Number(usage ?? 0),
    ...(limited ? { limitBytes: Number(limit) } : {}),
    cacheBytes: detail['inactive_file'] ?? 0,
    detail,
  };
}

async function cpuV1(readAccount: Read, read: Read): Promise<InstanceStats['cpu']> {
  const [usage, split, stat] = await Promise.all([
    readAccount('cpuacct.usage'),
    readAccount('cpuacct.stat'),
    read('cpu.stat'),
  ]);
  const parts = parseFlat(split ?? '');
  const throttling = parseFlat(stat ?? '');
  return {
    totalNs: Number(usage ?? 0),
    userNs: (parts['user'] ?? 0) * NS_PER_TICK,
    systemNs: (parts['system'] ?? 0) * NS_PER_TICK,
    throttledNs: throttling['throttled_time'] ?? 0,
    throttledPeriods: throttling['nr_throttled'] ?? 0,
    periods: throttling['nr_periods'] ?? 0,
  };
}

async function cpuV2(read: Read): Promise<InstanceStats['cpu']> {
  const stat = parseFlat((await read('cpu.stat')) ?? '');
  return {
    totalNs: (stat['usage_usec'] ?? 0) * 1000,
    userNs: (stat['user_usec'] ?? 0) * 1000,
    systemNs: (stat['system_usec'] ?? 0) * 1000,
    throttledNs: (stat['throttled_usec'] ?? 0) * 1000,
    throttledPeriods: stat['nr_throttled'] ?? 0,
    periods: stat['nr_periods'] ?? 0,
  };
}

async function pidsOf(read: Read): Promise<InstanceStats['pids']> {
  const [current, max] = await Promise.all([read('pids.current'), read('pids.max')]);
  const limited = max !== undefined && max.trim() !== 'max';
  return { current: Number(current ?? 0), ...(limited ? { limit: Number(max) } : {}) };
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
