// Finding out what became of a container while no daemon looked, and cleaning up after a supervisor that died.

import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { BerthError, type ExitStatus, type InstanceSpec, isBerthError } from '../../core/index.ts';
import {
  END_LIMIT_MS,
  killShim,
  readExit,
  recordExit,
  ShimClient,
  shimDied,
  shimEndedWithin,
  supervisorDied,
} from '../../guest/index.ts';
import {
  cgroupPids,
  isCgroupFrozen,
  killCgroup,
  removeCgroup,
  removeEmptiedCgroup,
  removeEmptyCgroup,
} from '../../host/cgroup.ts';
import { supervisorGroup } from '../../host/supervisor-group.ts';

export interface Adopted {
  readonly client?: ShimClient;
  readonly running?: { readonly pid: number; readonly startedAt: string };
  readonly paused: boolean;
  readonly last?: { readonly status: ExitStatus; readonly startedAt?: string };
}

/** The supervisor of a container by its own records: a living one is joined, a dead one's leftovers are removed. */
export async function adoptContainer(spec: InstanceSpec, signal?: AbortSignal): Promise<Adopted> {
  const joined = await joinShim(spec, signal);
  if (joined !== undefined) return joined;
  if (!(await shimEndedWithin(spec.dir, END_LIMIT_MS)))
    throw new BerthError('timeout', `the supervisor in ${spec.dir} does not finish cleaning up`);
  const exit = await readExit(spec.dir);
  const orphaned = await shimDied(spec.dir);
  if (orphaned) await sweep(spec);
  else await removeEmptyCgroup(supervisorGroup(spec.cgroupPath));
  if (exit !== undefined) return { paused: false, last: exit };
  if (!orphaned) return { paused: false };
  return { paused: false, last: { status: supervisorDied('the supervisor of the container died with it') } };
}

async function joinShim(spec: InstanceSpec, signal?: AbortSignal): Promise<Adopted | undefined> {
  try {
    const { client, state } = await ShimClient.join(spec.dir, signal);
    if (state.state === 'running' || state.state === 'paused') {
      const running = { pid: state.pid ?? 0, startedAt: state.startedAt ?? new Date().toISOString() };
      return { client, running, paused: await isCgroupFrozen(spec.cgroupPath) };
    }
    // It waits for a start that the daemon before us never gave, or gave just now, or it has just ended.
    return (await client.quit()) ? undefined : await joinShim(spec, signal);
  } catch (error) {
    if (isBerthError(error, 'unavailable')) return undefined;
    throw error;
  }
}

/** Ends a container and its shim, whatever they do; `status` is the end of its run, unless the shim wrote one. */
export async function endContainer(spec: InstanceSpec, status?: ExitStatus): Promise<void> {
  if (status !== undefined) await recordExit(spec.dir, status);
  await killShim(spec.dir);
  await sweep(spec);
  for (const name of ['shim.sock', 'shim.pid']) await rm(join(spec.dir, name), { force: true });
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
  await removeEmptiedCgroup(supervisorGroup(spec.cgroupPath));
}
