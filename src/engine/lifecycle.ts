// Start, stop, kill, restart, pause, resume: Docker's rules of what may follow what, and its words.

import { BerthError, isBerthError } from '../core/index.ts';
import { settlesWithin } from '../host/index.ts';
import type { EngineContext } from './context.ts';
import { aloneOrByForce, deliver, endByForce, endNow, isLost, KILL_LIMIT_MS, tryDeliver } from './deliver.ts';
import { cancelRestart } from './removal.ts';
import { parseSignal, SIGKILL } from './resolve/index.ts';
import { launch } from './runs.ts';
import type { Workload } from './workload.ts';

const DEFAULT_GRACE_SECONDS = 10;

export interface StopOptions {
  readonly signal?: string;
  readonly timeoutSeconds?: number;
}

/** Resolves to false when it ran already. */
export async function startWorkload(ctx: EngineContext, workload: Workload): Promise<boolean> {
  return await workload.lock.run(async () => {
    if (workload.removing)
      throw conflict(`container ${workload.id} is marked for removal and cannot be started`);
    if (workload.state === 'paused') throw conflict('cannot start a paused container, try unpause instead');
    if (workload.state === 'running') return false;
    const { lost } = workload.record;
    if (lost !== undefined)
      throw conflict(
        `container ${workload.name} cannot be started: its record is lost (${lost}); remove it and create it again`,
      );
    clearTimeout(workload.restartTimer);
    workload.restartDelayMs = 0;
    const { manuallyStopped, restartCount } = workload.record;
    if (manuallyStopped || restartCount > 0)
      await workload.update({ manuallyStopped: false, restartCount: 0 });
    await launch(ctx, workload);
    return true;
  });
}

/** Signal, grace, kill. Resolves to false when it did not run. */
export async function stopWorkload(
  ctx: EngineContext,
  workload: Workload,
  options: StopOptions,
): Promise<boolean> {
  const signal = parseSignal(options.signal || workload.record.config.stopSignal);
  const grace = options.timeoutSeconds ?? workload.record.spec.stopTimeoutSeconds ?? DEFAULT_GRACE_SECONDS;
  const graceMs = grace * 1000;
  const lockLimitMs = graceMs < 0 ? graceMs : graceMs + KILL_LIMIT_MS;
  // The lock is held to send the signal only: while it waits, others may kill, pause or remove.
  const begun = await aloneOrByForce(ctx, workload, lockLimitMs, async () => {
    if (workload.state === 'unknown') return { isUnknown: true };
    if (!workload.active) return undefined;
    await markStopped(workload);
    cancelRestart(workload);
    if (!workload.running) return {};
    const [end, deadline] = [workload.exits.next(), Date.now() + graceMs];
    await tryDeliver(ctx, workload, signal, graceMs);
    return { end, deadline };
  });
  if (begun === undefined) return false;
  if (begun.isUnknown) await stopUnknown(ctx, workload, graceMs);
  if (begun.end !== undefined) {
    const leftMs = graceMs < 0 ? graceMs : Math.max(0, begun.deadline - Date.now());
    if (!(await settlesWithin(begun.end, leftMs))) await endNow(ctx, workload, begun.end);
  }
  ctx.events.publish(workload.event('stop'));
  return true;
}

/** Ends a workload in an unknown state: by force, unless it is taken over within `graceMs`. */
async function stopUnknown(ctx: EngineContext, workload: Workload, graceMs: number): Promise<void> {
  if (await isLost(workload, graceMs)) await endByForce(ctx, workload);
  else if (workload.running) await endNow(ctx, workload, workload.exits.next());
}

/** Written before anything is sent: a daemon that dies in between must not start again what was being stopped. */
async function markStopped(workload: Workload): Promise<void> {
  const { spec, manuallyStopped } = workload.record;
  if (spec.restart.name !== 'no' && !manuallyStopped) await workload.update({ manuallyStopped: true });
}

export async function killWorkload(
  ctx: EngineContext,
  workload: Workload,
  signalText: string | undefined,
): Promise<void> {
  const signal = parseSignal(signalText || 'KILL');
  if (signal === SIGKILL && (await isLost(workload))) return await endByForce(ctx, workload);
  const ends = signal === SIGKILL || signal === parseSignal(workload.record.config.stopSignal);
  if (ends && workload.active) await markStopped(workload);
  if (ends && workload.restarting) {
    cancelRestart(workload);
    return;
  }
  if (!workload.running)
    throw conflict(`Cannot kill container: ${workload.name}: Container ${workload.id} is not running`);
  if (!ends && workload.state === 'paused')
    throw conflict(`Container ${workload.id} is paused. Unpause the container before stopping or killing`);
  // SIGKILL is answered when the workload has ended: the client may remove or start it at once.
  if (signal === SIGKILL) await endNow(ctx, workload, workload.exits.next());
  else await deliver(ctx, workload, signal);
}

export async function restartWorkload(
  ctx: EngineContext,
  workload: Workload,
  options: StopOptions,
): Promise<void> {
  workload.keepAtExit = true;
  try {
    await stopWorkload(ctx, workload, options);
    await startWorkload(ctx, workload);
  } finally {
    workload.keepAtExit = false;
  }
  ctx.events.publish(workload.event('restart'));
}

export async function pauseWorkload(ctx: EngineContext, workload: Workload): Promise<void> {
  await workload.lock.run(async () => {
    requireRunning(workload);
    if (workload.state === 'paused') throw conflict(`Container ${workload.id} is already paused`);
    await unlessEnded(workload, pausing(workload, 'pause').pause());
    if (workload.state === 'running') workload.state = 'paused';
    ctx.events.publish(workload.event('pause'));
  });
}

export async function resumeWorkload(ctx: EngineContext, workload: Workload): Promise<void> {
  await workload.lock.run(async () => {
    if (workload.state !== 'paused') throw conflict(`Container ${workload.id} is not paused`);
    await unlessEnded(workload, pausing(workload, 'unpause').resume());
    if (workload.state === 'paused') workload.state = 'running';
    ctx.events.publish(workload.event('unpause'));
  });
}

/** The instance knows sooner than the engine that its process has ended. */
async function unlessEnded(workload: Workload, work: Promise<void>): Promise<void> {
  try {
    await work;
  } catch (error) {
    if (!isBerthError(error, 'invalid-state')) throw error;
    throw conflict(`Container ${workload.id} is not running`);
  }
}

function pausing(workload: Workload, verb: string) {
  const { pausing: capability } = workload.requireInstance();
  if (capability !== undefined) return capability;
  throw new BerthError(
    'unsupported',
    `cannot ${verb} container ${workload.name}: isolation ${workload.record.spec.isolation} cannot pause`,
  );
}

/** Fails with `conflict` in Docker's words. */
export function requireRunning(workload: Workload): void {
  if (workload.restarting)
    throw conflict(`Container ${workload.id} is restarting, wait until the container is running`);
  if (!workload.running) throw conflict(`Container ${workload.id} is not running`);
}

export function conflict(message: string): BerthError {
  return new BerthError('conflict', message);
}
