// The end of a workload: kill if asked to, undo what the driver made, put the folder aside.

import { BerthError, errorMessage, isBerthError } from '../core/index.ts';
import type { EngineContext } from './context.ts';
import { deliver, endWithin, KILL_LIMIT_MS } from './deliver.ts';
import { condemnRecord } from './records.ts';
import { SIGKILL } from './resolve/index.ts';
import type { Workload } from './workload.ts';

export interface RemoveOptions {
  readonly force: boolean;
  /** Its anonymous volumes too. */
  readonly volumes: boolean;
}

/** Fails with `conflict` in Docker's words when it runs and is not to be forced, or is being removed already. */
export async function removeWorkload(
  ctx: EngineContext,
  workload: Workload,
  options: RemoveOptions,
): Promise<void> {
  if (workload.removing)
    throw new BerthError('conflict', `removal of container ${workload.name} is already in progress`);
  if (!options.force) refuseActive(workload);
  workload.removing = true;
  try {
    if (options.force) await workload.lock.run(() => killForRemoval(ctx, workload));
    await workload.lock.run(async () => {
      if (!options.force) refuseActive(workload);
      await discard(ctx, workload, options.volumes);
    });
  } catch (error) {
    workload.removing = false;
    throw error;
  }
}

function refuseActive(workload: Workload): void {
  const refuse = (text: string) => {
    throw new BerthError('conflict', text);
  };
  if (workload.state === 'paused')
    refuse(
      `You cannot remove a paused container ${workload.id}. Unpause and then stop the container before attempting removal or force remove`,
    );
  if (workload.active)
    refuse(
      `You cannot remove a ${workload.restarting ? 'restarting' : 'running'} container ${workload.id}. Stop the container before attempting removal or force remove`,
    );
}

async function killForRemoval(ctx: EngineContext, workload: Workload): Promise<void> {
  cancelRestart(workload);
  // Nothing is known of it, but nothing of it may stay.
  if (workload.state === 'unknown') await workload.instance?.kill(SIGKILL).catch(() => {});
  if (!workload.running) return;
  const end = workload.exits.next();
  await deliver(ctx, workload, SIGKILL);
  if (await endWithin(end, KILL_LIMIT_MS)) return;
  throw new BerthError(
    'timeout',
    `cannot remove container ${workload.name}: it did not end within ${KILL_LIMIT_MS / 1000} s of SIGKILL`,
  );
}

/** No more automatic starts; who waits for the workload to stop is told. */
export function cancelRestart(workload: Workload): void {
  if (!workload.restarting) return;
  clearTimeout(workload.restartTimer);
  workload.restarting = false;
  workload.stops.resolve(workload.lastExit);
}

/**
 * Removes a workload that does not run; the caller holds its lock and has set `removing`. The folder is deleted later,
 * but when this resolves nothing of the workload is left outside of it.
 */
export async function discard(ctx: EngineContext, workload: Workload, volumes: boolean): Promise<void> {
  const { record } = workload;
  const { dir } = record.instance;
  await workload.saved();
  workload.health?.stop();
  // One that removes itself and has ended needs no mark: whoever finds it ended will remove it.
  if (!(record.spec.autoRemove && workload.state === 'exited')) condemnRecord(dir);
  const instance = workload.instance ?? (await readopt(ctx, workload));
  // Its rules and what it ran in have nothing to do with each other any more.
  await Promise.all([workload.left, instance.remove()]);
  await ctx.trash.discard(dir);
  ctx.networking.release(record.endpoints);
  ctx.registry.delete(workload);
  ctx.events.publish(workload.event('destroy'));
  if (volumes && record.anonymousVolumes.length > 0) await removeVolumes(ctx, record.anonymousVolumes);
  for (const waiters of [workload.exits, workload.stops, workload.removals])
    waiters.resolve(workload.lastExit);
}

/** A workload that could not be taken over at the start may be reachable by now. */
async function readopt(ctx: EngineContext, workload: Workload) {
  const { spec, instance } = workload.record;
  const driver = ctx.drivers.get(spec.isolation);
  if (driver === undefined)
    throw new BerthError(
      'unavailable',
      `container ${workload.name} cannot be removed: this daemon has no driver for isolation ${spec.isolation}`,
    );
  return await driver.adopt(instance);
}

/** Removes what nobody else uses of these; the rest stays for the others. */
export async function removeVolumes(ctx: EngineContext, names: readonly string[]): Promise<void> {
  for (const name of names) {
    try {
      if (await ctx.volumes.remove(name, true)) ctx.events.publish(volumeEvent('destroy', name));
    } catch (error) {
      if (!isBerthError(error, 'conflict')) ctx.log(`volume ${name} is kept: ${errorMessage(error)}`);
    }
  }
}

export function volumeEvent(action: string, name: string, attributes: Readonly<Record<string, string>> = {}) {
  return {
    type: 'volume' as const,
    action,
    actor: { id: name, attributes: { driver: 'local', ...attributes } },
  };
}
