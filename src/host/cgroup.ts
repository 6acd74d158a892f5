// Control groups: where they are, making, filling, freezing and removing them. One API for version 1 and 2; `path` is
// always the path below a hierarchy's root, e.g. /berth-1a2b3c4d/<id>.

import { once } from 'node:events';
import { readFileSync, watch } from 'node:fs';
import { mkdir, readdir, readFile, rmdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { BerthError } from '../core/index.ts';
import { readIfExists } from './files.ts';

export interface CgroupHost {
  /** 2 only where the unified hierarchy has the controllers; a hybrid host counts as 1. */
  readonly version: 1 | 2;
  /** v1: controller -> mount point of its hierarchy. v2: every available controller -> the one mount point. */
  readonly controllers: ReadonlyMap<string, string>;
  /** Mount points of all hierarchies, named ones and a hybrid's unified one included. */
  readonly hierarchies: readonly string[];
  /** Mount point of the version 2 hierarchy, if there is one. */
  readonly unified?: string;
}

let known: CgroupHost | undefined;

/** What this host offers, read once. */
export function cgroupHost(): CgroupHost {
  known ??= parseCgroupMounts(readFileSync('/proc/self/mountinfo', 'utf8'), (path) =>
    readFileSync(path, 'utf8'),
  );
  return known;
}

/** Reads /proc/self/mountinfo. `read` gives the text of cgroup.controllers on a version 2 host. */
export function parseCgroupMounts(mountinfo: string, read: (path: string) => string): CgroupHost {
  const controllers = new Map<string, string>();
  const hierarchies: string[] = [];
  let unified: string | undefined;
  for (const line of mountinfo.split('\n')) {
    const [left, right] = line.split(' - ');
    const mountPoint = left?.split(' ')[4];
    const [type, , options] = right?.split(' ') ?? [];
    if (mountPoint === undefined || (type !== 'cgroup' && type !== 'cgroup2')) continue;
    hierarchies.push(mountPoint);
    if (type === 'cgroup2') unified = mountPoint;
    else
      for (const name of (options ?? '').split(','))
        if (!['rw', 'ro', 'xattr', 'clone_children'].includes(name) && !name.includes('='))
          controllers.set(name, mountPoint);
  }
  if (controllers.size > 0 || unified === undefined) {
    return { version: 1, controllers, hierarchies, ...(unified === undefined ? {} : { unified }) };
  }
  for (const name of read(join(unified, 'cgroup.controllers')).split(/\s+/))
    if (name !== '') controllers.set(name, unified);
  return { version: 2, controllers, hierarchies, unified };
}

/** The folder of a group in a controller's hierarchy, or undefined if the host lacks the controller. */
export function cgroupFolder(path: string, controller: string, host = cgroupHost()): string | undefined {
  const root = host.controllers.get(controller);
  return root === undefined ? undefined : join(root, path);
}

function folders(path: string, host: CgroupHost): string[] {
  return host.hierarchies.map((root) => join(root, path));
}

const CONTROLLERS = ['cpu', 'cpuacct', 'memory', 'pids', 'freezer', 'cpuset', 'blkio', 'io'];

/** Makes the group in the hierarchies of these controllers (those the host has), or in all; existing ones are kept. */
export async function createCgroup(
  path: string,
  controllers: readonly string[] | 'everywhere' = CONTROLLERS,
  host = cgroupHost(),
): Promise<void> {
  const wanted = controllers === 'everywhere' ? CONTROLLERS : controllers;
  const roots = new Set(
    controllers === 'everywhere'
      ? host.hierarchies
      : wanted.flatMap((name) => host.controllers.get(name) ?? []),
  );
  for (const root of roots) {
    await mkdir(join(root, path), { recursive: true });
    if (host.version === 2) await delegate(root, path, wanted, host);
    else if (root === host.controllers.get('cpuset')) await inheritCpuset(root, path);
  }
}

/** Version 2: each group above must hand its controllers down; those of others that do already are not touched. */
async function delegate(
  root: string,
  path: string,
  wanted: readonly string[],
  host: CgroupHost,
): Promise<void> {
  const on = wanted.filter((name) => host.controllers.has(name));
  let folder = root;
  for (const part of path.split('/').filter((name) => name !== '')) {
    const file = join(folder, 'cgroup.subtree_control');
    const handed = ((await readIfExists(file)) ?? '').split(/\s+/);
    for (const name of on) if (!handed.includes(name)) await writeFile(file, `+${name}`).catch(() => {});
    folder = join(folder, part);
  }
}

/** Version 1: a new cpuset group is empty and admits no process until it is given CPUs and memory nodes. */
async function inheritCpuset(root: string, path: string): Promise<void> {
  let folder = root;
  for (const part of path.split('/').filter((name) => name !== '')) {
    const child = join(folder, part);
    for (const file of ['cpuset.cpus', 'cpuset.mems']) {
      if ((await readFile(join(child, file), 'utf8')).trim() !== '') continue;
      await writeFile(join(child, file), await readFile(join(folder, file), 'utf8'));
    }
    folder = child;
  }
}

/** Moves a process, with all its threads, into the group wherever the group exists. */
export async function addToCgroup(path: string, pid: number, host = cgroupHost()): Promise<void> {
  for (const folder of folders(path, host))
    await writeFile(join(folder, 'cgroup.procs'), `${pid}`).catch((error: NodeJS.ErrnoException) => {
      if (error.code !== 'ENOENT') throw error;
    });
}

/** Ids of all processes in the group and the groups below it. */
export async function cgroupPids(path: string, host = cgroupHost()): Promise<number[]> {
  const root = host.controllers.get('pids') ?? host.hierarchies[0];
  if (root === undefined) return [];
  const found = new Set<number>();
  for (const folder of await subgroups(join(root, path)))
    for (const line of ((await readIfExists(join(folder, 'cgroup.procs'))) ?? '').split('\n'))
      if (line !== '') found.add(Number(line));
  return [...found].sort((a, b) => a - b);
}

/** The group's folder and those below it, deepest first; empty if there is none. */
async function subgroups(folder: string): Promise<string[]> {
  const entries = await readdir(folder, { withFileTypes: true }).catch(() => undefined);
  if (entries === undefined) return [];
  const below = await Promise.all(
    entries.filter((entry) => entry.isDirectory()).map((entry) => subgroups(join(folder, entry.name))),
  );
  return [...below.flat(), folder];
}

const FREEZE_MS = 5000;

/** Freezes or thaws the group; resolves when every process in it has stopped (or goes on). */
export async function freezeCgroup(
  path: string,
  frozen: boolean,
  host = cgroupHost(),
  timeoutMs = FREEZE_MS,
): Promise<void> {
  const folder = cgroupFolder(path, 'freezer', host) ?? join(host.hierarchies[0] ?? '', path);
  if (host.version === 2) return freezeUnified(path, frozen, { folder, timeoutMs });
  const file = join(folder, 'freezer.state');
  const goal = frozen ? 'FROZEN' : 'THAWED';
  // Version 1 tells of no completion: the state must be asked again, and asking is what drives it on.
  for (let tries = 0; tries < 500; tries++) {
    await writeFile(file, goal);
    if ((await readFile(file, 'utf8')).trim() === goal) return;
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
  if (frozen) await writeFile(file, 'THAWED');
  throw notInTime(path, frozen);
}

async function freezeUnified(
  path: string,
  frozen: boolean,
  { folder, timeoutMs }: { readonly folder: string; readonly timeoutMs: number },
): Promise<void> {
  const events = join(folder, 'cgroup.events');
  const reached = async () => (await readFile(events, 'utf8')).includes(`frozen ${frozen ? 1 : 0}`);
  // Callers count on the watch from here on: an iterator of fs/promises would only begin when it is first asked.
  const watcher = watch(events);
  try {
    const signal = AbortSignal.timeout(timeoutMs);
    for (let first = true; ; first = false) {
      const changed = once(watcher, 'change', { signal });
      changed.catch(() => {});
      if (first) await writeFile(join(folder, 'cgroup.freeze'), frozen ? '1' : '0');
      if (await reached()) return;
      await changed;
    }
  } catch (error) {
    if ((error as Error).name !== 'AbortError') throw error;
    if (await reached()) return;
    if (frozen) await writeFile(join(folder, 'cgroup.freeze'), '0');
    throw notInTime(path, frozen);
  } finally {
    watcher.close();
  }
}

function notInTime(path: string, frozen: boolean): BerthError {
  return new BerthError(
    'timeout',
    `${path}: the processes could not be ${frozen ? 'frozen' : 'thawed'} in time: one of them may wait for a disk or a network file system`,
  );
}

/** Whether the group is frozen; false if there is none. */
export async function isCgroupFrozen(path: string, host = cgroupHost()): Promise<boolean> {
  if (host.version === 2)
    return /^1/.test((await readIfExists(join(host.hierarchies[0] ?? '', path, 'cgroup.freeze'))) ?? '');
  const folder = cgroupFolder(path, 'freezer', host);
  return folder !== undefined && /^FR/.test((await readIfExists(join(folder, 'freezer.state'))) ?? '');
}

/** Kills every process in the group, thawing it if need be. Does not wait for their end. */
export async function killCgroup(path: string, host = cgroupHost()): Promise<void> {
  if (host.version === 2) {
    const file = join(host.hierarchies[0] ?? '', path, 'cgroup.kill');
    const done = await writeFile(file, '1').then(
      () => true,
      () => false,
    );
    if (done) return;
  }
  for (const pid of await cgroupPids(path, host)) signalIfAlive(pid);
  if (await isCgroupFrozen(path, host)) await freezeCgroup(path, false, host);
}

function signalIfAlive(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}

/** Removes the group and those below it in every hierarchy. A group that still has processes fails with `conflict`. */
export async function removeCgroup(path: string, host = cgroupHost()): Promise<void> {
  for (const root of folders(path, host))
    for (const folder of await subgroups(root))
      await rmdir(folder).catch((error: NodeJS.ErrnoException) => {
        if (error.code === 'ENOENT') return;
        if (error.code === 'EBUSY') throw new BerthError('conflict', `cgroup ${path} still has processes`);
        throw error;
      });
}

/** As `removeCgroup`, of a group whose processes were killed: they need a moment to leave, and version 1 tells nobody of it. */
export async function removeEmptiedCgroup(path: string): Promise<void> {
  for (let tries = 0; ; tries++)
    try {
      return await removeCgroup(path);
    } catch (error) {
      if (tries === 100) throw error;
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
}

/** Removes the group itself wherever nothing is in it; whatever is stays. */
export async function removeEmptyCgroup(path: string, host = cgroupHost()): Promise<void> {
  for (const root of folders(path, host)) await rmdir(root).catch(() => {});
}
