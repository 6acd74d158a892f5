// The host's processes as /proc shows them: which belong to an instance, what memory they hold, what time they used.

import { readdir, readFile } from 'node:fs/promises';
import { BerthError } from '../../core/index.ts';

export interface HostProcess {
  readonly pid: number;
  readonly parent: number;
  readonly name: string;
  /** The lines of /proc/PID/cgroup. */
  readonly cgroup: string;
}

/** Parses /proc/PID/stat; the name may hold spaces and parentheses. Undefined when it is something else. */
export function parseStat(text: string): { pid: number; name: string; parent: number } | undefined {
  const match = /^(\d+) \((.*)\) \S (\d+)/s.exec(text);
  if (match === null) return undefined;
  return { pid: Number(match[1]), name: match[2] ?? '', parent: Number(match[3]) };
}

/** All processes of this host. One that ends meanwhile is left out. */
export async function hostProcesses(): Promise<readonly HostProcess[]> {
  const names = (await readdir('/proc')).filter((name) => /^\d+$/.test(name));
  const found = await Promise.all(names.map(readProcess));
  return found.filter((process) => process !== undefined);
}

async function readProcess(pid: string): Promise<HostProcess | undefined> {
  try {
    const [stat, cgroup] = await Promise.all(
      ['stat', 'cgroup'].map((file) => readFile(`/proc/${pid}/${file}`, 'utf8')),
    );
    const parsed = parseStat(stat ?? '');
    return parsed && { ...parsed, cgroup: cgroup ?? '' };
  } catch {
    return undefined;
  }
}

export interface InstanceProcesses {
  /** The supervisor that the instance has for itself. */
  readonly shim: number | undefined;
  /** All others: a container's own, a VM's monitor and its helpers. */
  readonly own: readonly number[];
}

/**
 * The processes of the instance whose main process (or monitor) is `main`: everything below its shim, and everything in
 * the same control group, the shim apart. Pure.
 */
export function belonging(all: readonly HostProcess[], main: number): InstanceProcesses {
  const byPid = new Map(all.map((process) => [process.pid, process]));
  const shim = ancestors(byPid, main).find((process) => process.name.startsWith('berth-shim'));
  const group = ownGroup(byPid.get(main)?.cgroup ?? '');
  const own = all.filter(
    (process) =>
      process.pid !== shim?.pid &&
      (process.pid === main ||
        ancestors(byPid, process.pid).some((above) => above.pid === main || above.pid === shim?.pid) ||
        (group !== undefined && process.cgroup.includes(group))),
  );
  return { shim: shim?.pid, own: own.map((process) => process.pid) };
}

function ancestors(byPid: ReadonlyMap<number, HostProcess>, pid: number): HostProcess[] {
  const line: HostProcess[] = [];
  let at = byPid.get(byPid.get(pid)?.parent ?? 0);
  while (at !== undefined && line.length < byPid.size) {
    line.push(at);
    at = byPid.get(at.parent);
  }
  return line;
}

/** The instance's id as the last part of a control group's path, or undefined when it is in none of its own. */
function ownGroup(cgroup: string): string | undefined {
  return /\/[0-9a-f]{64}(?=\/|$)/m.exec(cgroup)?.[0];
}

/** The control group below the hierarchies' roots, for the memory controller. */
export function memoryGroup(cgroup: string): string | undefined {
  const lines = cgroup
    .trim()
    .split('\n')
    .map((line) => line.split(':'));
  const found =
    lines.find(([, controllers]) => controllers?.split(',').includes('memory')) ??
    lines.find(([id]) => id === '0');
  const path = found?.slice(2).join(':');
  return path === undefined || path === '/' ? undefined : path;
}

/**
 * Proportional set size: a page that n processes share counts 1/n for each, so that sums are what is really held.
 * Processes that end meanwhile count 0. Fails with `permission-denied` when the kernel does not let us read it.
 */
export async function pssBytes(pids: readonly number[]): Promise<number> {
  const sizes = await Promise.all(pids.map(onePss));
  return sizes.reduce((sum, size) => sum + size, 0);
}

async function onePss(pid: number): Promise<number> {
  try {
    const text = await readFile(`/proc/${pid}/smaps_rollup`, 'utf8');
    return Number(/^Pss:\s+(\d+) kB/m.exec(text)?.[1] ?? 0) * 1024;
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException;
    if (code === 'ENOENT' || code === 'ESRCH') return 0;
    throw new BerthError('permission-denied', `cannot read /proc/${pid}/smaps_rollup: ${code}`, { cause });
  }
}

/** Processor time of all threads of the processes so far, from the scheduler's own count in nanoseconds. */
export async function cpuNs(pids: readonly number[]): Promise<number> {
  const times = await Promise.all(pids.map(oneCpu));
  return times.reduce((sum, time) => sum + time, 0);
}

async function oneCpu(pid: number): Promise<number> {
  const threads = await readdir(`/proc/${pid}/task`).catch(() => []);
  const times = await Promise.all(
    threads.map((thread) => readFile(`/proc/${pid}/task/${thread}/schedstat`, 'utf8').catch(() => '0')),
  );
  return times.reduce((sum, text) => sum + Number(text.split(' ')[0]), 0);
}

/** Fields of /proc/PID/status. */
export async function readStatus(pid: number): Promise<ReadonlyMap<string, string>> {
  const text = await readFile(`/proc/${pid}/status`, 'utf8');
  return new Map(
    text.split('\n').map((line) => {
      const cut = line.indexOf(':');
      return [line.slice(0, cut), line.slice(cut + 1).trim()];
    }),
  );
}
