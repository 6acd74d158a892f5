// Finding out what became of a container while no daemon looked, and cleaning up after a supervisor that died.

import { watch } from 'node:fs';
import { access } from 'node:fs/promises';
import { join } from 'node:path';
import { BerthError, type ExitStatus, type InstanceSpec, isBerthError } from '../../core/index.ts';
import { readExit, ShimClient, supervisorDied } from '../../guest/index.ts';
import { cgroupPids, isCgroupFrozen, killCgroup, removeCgroup } from '../../host/cgroup.ts';
import { readIfExists } from '../../host/files.ts';

export interface Adopted {
  readonly client?: ShimClient;
  readonly running?: { readonly pid: number; readonly startedAt: string };
  readonly paused: boolean;
  readonly last?: { readonly status: ExitStatus; readonly startedAt?: string };
}

/** How long a shim that has told the exit status may take to clean up. */
const CLEANUP_MS = 10_000;

/** The supervisor of a container by its own records: a living one is joined, a dead one's leftovers are removed. */
export async function adoptContainer(spec: InstanceSpec): Promise<Adopted> {
  const joined = await joinShim(spec);
  if (joined !== undefined) return joined;
  await waitForCleanup(spec.dir);
  const exit = await readExit(spec.dir);
  const orphaned = (await readIfExists(join(spec.dir, 'shim.pid'))) !== undefined;
  if (orphaned) await sweep(spec);
  if (exit !== undefined) return { paused: false, last: exit };
  if (!orphaned) return { paused: false };
  return { paused: false, last: { status: supervisorDied('the supervisor of the container died with it') } };
}

async function joinShim(spec: InstanceSpec): Promise<Adopted | undefined> {
  try {
    const { client, state } = await ShimClient.join(spec.dir);
    if (state.state === 'running' || state.state === 'paused') {
      const running = { pid: state.pid ?? 0, startedAt: state.startedAt ?? new Date().toISOString() };
      return { client, running, paused: await isCgroupFrozen(spec.cgroupPath) };
    }
    // It waits for a start that the daemon before us never gave, or gave just now, or it has just ended.
    return (await client.quit()) ? undefined : await joinShim(spec);
  } catch (error) {
    if (isBerthError(error, 'unavailable')) return undefined;
    throw error;
  }
}

/** Process id and start time of the shim, as it wrote them; undefined when that process is not there any more. */
async function livingShim(dir: string): Promise<number | undefined> {
  const [pid, startTime] = ((await readIfExists(join(dir, 'shim.pid'))) ?? '').trim().split(' ');
  if (!pid || !startTime) return undefined;
  const stat = await readIfExists(`/proc/${pid}/stat`);
  const fields = stat?.slice(stat.lastIndexOf(')') + 2).split(' ') ?? [];
  // Field 22 of the line; the first two precede what was cut off. A zombie has nothing left to clean up.
  return fields[19] === startTime && fields[0] !== 'Z' ? Number(pid) : undefined;
}

/** A shim that answers no more but lives is removing what it made: it takes its pid file away when done. */
async function waitForCleanup(dir: string): Promise<void> {
  if ((await livingShim(dir)) === undefined) return;
  await new Promise<void>((resolve, reject) => {
    const path = join(dir, 'shim.pid');
    const watcher = watch(dir);
    const done = (settle: () => void) => {
      clearTimeout(timer);
      watcher.close();
      settle();
    };
    const look = () => access(path).catch(() => done(resolve));
    const timer = setTimeout(
      () =>
        done(() => reject(new BerthError('timeout', `the supervisor in ${dir} does not finish cleaning up`))),
      CLEANUP_MS,
    );
    watcher.on('change', look);
    void look();
  });
}

/** Kills all that is left of a container and removes its cgroup. What it had mounted went with its supervisor. */
export async function sweep(spec: InstanceSpec): Promise<void> {
  // What was just killed needs a moment to leave the group; version 1 has no event for it.
  for (let tries = 0; tries < 200; tries++) {
    await killCgroup(spec.cgroupPath);
    if ((await cgroupPids(spec.cgroupPath)).length === 0) break;
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  await removeCgroup(spec.cgroupPath);
}
