// Signals to a workload, patience until it ends, and force where patience ends.

import { type ExitStatus, errorMessage, type Instance, isBerthError } from '../core/index.ts';
import { settlesWithin, within } from '../host/index.ts';
import { driverOf, type EngineContext } from './context.ts';
import { leaveNetworks } from './networks/membership.ts';
import { SIGKILL } from './resolve/index.ts';
import type { Workload } from './workload.ts';

/** After SIGKILL this long is allowed before the supervisor and all it runs are killed; a VM's own gives up two seconds earlier. */
export const KILL_LIMIT_MS = 12_000;
/** Limit for a workload killed by force to end and to be cleaned up. */
const FORCE_LIMIT_MS = 20_000;
/** A supervisor that lives takes a signal at once. */
const DELIVERY_LIMIT_MS = 2_000;

/**
 * Sends a signal that is meant to end the workload, which must be running: a paused one is resumed, as it could not
 * act on it. That it has just ended is no failure.
 */
export async function deliver(ctx: EngineContext, workload: Workload, signal: number): Promise<void> {
  const instance = workload.requireInstance();
  try {
    if (workload.state === 'paused')
      await instance.pausing?.resume().catch((error: unknown) => {
        // Another signal may have come before.
        if (!isBerthError(error, 'conflict')) throw error;
      });
    await noteResumed(ctx, workload, instance);
    await instance.kill(signal);
    // A pause may have come between the two: the signal ends it.
    await noteResumed(ctx, workload, instance);
  } catch (error) {
    if (!isBerthError(error, 'invalid-state') && !(await hasEnded(workload, error))) throw error;
  }
  ctx.events.publish(workload.event('kill', { signal: String(signal) }));
}

async function noteResumed(ctx: EngineContext, workload: Workload, instance: Instance): Promise<void> {
  if (workload.state !== 'paused' || (await instance.state()).state !== 'running') return;
  if (stateOf(workload) !== 'paused') return;
  workload.state = 'running';
  ctx.events.publish(workload.event('unpause'));
}

/** Whether `error` says that the supervisor had just gone, and the workload's end is known within the limit. */
async function hasEnded(workload: Workload, error: unknown): Promise<boolean> {
  if (!isBerthError(error, 'unavailable')) return false;
  return !workload.running || (await settlesWithin(workload.exits.next(), DELIVERY_LIMIT_MS));
}

/** As `deliver`, for a signal that a harder one follows: one that cannot be delivered, or not soon, is no failure. */
export async function tryDeliver(
  ctx: EngineContext,
  workload: Workload,
  signal: number,
  limitMs: number = DELIVERY_LIMIT_MS,
): Promise<void> {
  const sent = deliver(ctx, workload, signal).catch((error: unknown) =>
    ctx.log(`container ${workload.name}: signal ${signal} cannot be delivered: ${errorMessage(error)}`),
  );
  await settlesWithin(sent, limitMs < 0 ? DELIVERY_LIMIT_MS : Math.min(limitMs, DELIVERY_LIMIT_MS));
}

/** Whether nothing is known of a workload, and will not be within the limit. */
export async function isLost(workload: Workload, limitMs: number = DELIVERY_LIMIT_MS): Promise<boolean> {
  if (workload.adopting) await settlesWithin(workload.adopted, limitMs);
  return workload.state === 'unknown';
}

/** Ends a running workload: SIGKILL, and by force when that has no effect. `end` is its next end. */
export async function endNow(
  ctx: EngineContext,
  workload: Workload,
  end: Promise<ExitStatus>,
): Promise<void> {
  await tryDeliver(ctx, workload, SIGKILL);
  if (await settlesWithin(end, KILL_LIMIT_MS)) return;
  await endByForce(ctx, workload);
  await within(end, { limitMs: FORCE_LIMIT_MS }, `container ${workload.name}, killed by force,`);
}

/**
 * Kills the supervisor of a workload and all that runs in it. A running one is told as ended by SIGKILL; one in
 * an unknown state has ended afterwards.
 */
export async function endByForce(ctx: EngineContext, workload: Workload): Promise<void> {
  const { instance: spec, endpoints } = workload.record;
  const driver = driverOf(ctx, workload.record);
  const status: ExitStatus = {
    ...{ code: 128 + SIGKILL, oomKilled: false, reason: 'supervisor-died' },
    message: 'it did not end when it was asked to, and was killed together with its supervisor',
    finishedAt: new Date().toISOString(),
  };
  ctx.log(`container ${workload.name} does not answer: it is killed together with its supervisor`);
  const isUnknown = workload.state === 'unknown';
  workload.cut = true;
  await driver.end(spec, workload.running || isUnknown ? status : undefined);
  if (!isUnknown) return await ctx.networking.sweep(endpoints);
  // A take-over that is under way finds the end.
  await settlesWithin(workload.adopted, FORCE_LIMIT_MS);
  if (stateOf(workload) !== 'unknown') return;
  workload.instance = await within(
    driver.adopt(spec),
    { limitMs: FORCE_LIMIT_MS },
    `container ${workload.name}, killed by force,`,
  );
  workload.observe(await workload.instance.state());
  leaveNetworks(ctx, workload);
  workload.exits.resolve(workload.lastExit);
  workload.stops.resolve(workload.lastExit);
}

/** The state by now: the compiler takes an earlier check of the property for still true. */
const stateOf = ({ state }: Workload) => state;

/** Does `work` alone on the workload; whatever keeps it from that for longer than the limit is ended by force. */
export async function aloneOrByForce<T>(
  ctx: EngineContext,
  workload: Workload,
  limitMs: number,
  work: () => Promise<T>,
): Promise<T> {
  const done = workload.lock.run(work);
  if (await settlesWithin(done, limitMs)) return await done;
  await endByForce(ctx, workload);
  return await within(done, { limitMs: FORCE_LIMIT_MS }, `container ${workload.name}, killed by force,`);
}
