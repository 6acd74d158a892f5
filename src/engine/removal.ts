// The end of a workload: kill if asked to, undo what the driver made, put the folder aside.

import { BerthError, errorMessage, isBerthError } from '../core/index.ts';
import { within } from '../host/index.ts';
import { driverOf, type EngineContext } from './context.ts';
import { aloneOrByForce, endByForce, endNow, isLost } from './deliver.ts';
import { condemnRecord } from './records.ts';
import type { Workload } from './workload.ts';

export interface RemoveOptions {
  readonly force: boolean;
  /** Its anonymous volumes too. */
  readonly volumes: boolean;
}

/** A removal has this long to wait for what somebody else does to the workload. */
const PATIENCE_MS = 5_000;
/** Limit for a removal that another request began. */
const REMOVAL_LIMIT_MS = 60_000;

/**
 * Fails with `conflict` in Docker's words when it runs and is not to be forced, or is being removed already: one that is
 * forced waits for that removal instead.
 */
export async function removeWorkload(
  ctx: EngineContext,
  workload: Workload,
  options: RemoveOptions,
): Promise<void> {
  if (workload.removing) {
    if (!options.force || workload.removal === undefined)
      throw new BerthError('conflict', `removal of container ${workload.name} is already in progress`);
    const patience = { limitMs: REMOVAL_LIMIT_MS };
    return await within(workload.removal, patience, `the removal of container ${workload.name}`);
  }
  if (!options.force) refuseActive(workload);
  await underRemoval(workload, async () => {
    if (options.force) {
      // No start is under way any more, and none will be.
      await aloneOrByForce(ctx, workload, PATIENCE_MS, async () => cancelRestart(workload));
      await killForRemoval(ctx, workload);
    }
    await workload.lock.run(async () => {
      if (!options.force) refuseActive(workload);
      await discard(ctx, workload, options.volumes);
    });
  });
}

/** Marks the workload as being removed for as long as `work` takes; for good when it succeeds. */
export async function underRemoval(workload: Workload, work: () => Promise<void>): Promise<void> {
  workload.removing = true;
  const removal = work();
  workload.removal = removal;
  try {
    await removal;
  } catch (error) {
    workload.removing = false;
    workload.removal = undefined;
    // Changes of the record during the removal were not written: it is written now.
    void workload.replace(workload.record).catch(() => {});
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
  // Nothing is known of it, but nothing of it may stay.
  if (await isLost(workload)) await endByForce(ctx, workload);
  if (workload.running) await endNow(ctx, workload, workload.exits.next());
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
async function readopt(ctx: EngineContext, { name, record }: Workload) {
  const patience = { limitMs: PATIENCE_MS };
  return await within(driverOf(ctx, record).adopt(record.instance), patience, `container ${name}`);
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
