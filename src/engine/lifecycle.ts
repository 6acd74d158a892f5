// Start, stop, kill, restart, pause, resume: Docker's rules of what may follow what, and its words.

import { BerthError, isBerthError } from '../core/index.ts';
import type { EngineContext } from './context.ts';
import { deliver, endWithin, KILL_LIMIT_MS } from './deliver.ts';
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
  // The lock is held to send the signal only: while it waits, others may kill, pause or remove.
  const begun = await workload.lock.run(async () => {
    if (!workload.active) return undefined;
    await markStopped(workload);
    cancelRestart(workload);
    if (!workload.running) return {};
    const end = workload.exits.next();
    end.catch(() => {});
    await deliver(ctx, workload, signal);
    return { end };
  });
  if (begun === undefined) return false;
  if (begun.end !== undefined) await awaitEnd(ctx, workload, begun.end, grace * 1000);
  ctx.events.publish(workload.event('stop'));
  return true;
}

async function awaitEnd(
  ctx: EngineContext,
  workload: Workload,
  end: ReturnType<Workload['exits']['next']>,
  graceMs: number,
): Promise<void> {
  if (await endWithin(end, graceMs)) return;
  await deliver(ctx, workload, SIGKILL);
  if (await endWithin(end, KILL_LIMIT_MS)) return;
  throw new BerthError(
    'timeout',
    `cannot stop container ${workload.name}: it did not end within ${KILL_LIMIT_MS / 1000} s of SIGKILL`,
  );
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
  await deliver(ctx, workload, signal);
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
