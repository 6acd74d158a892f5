// Runs of a workload's main process: how one begins, what follows its end.

import {
  BerthError,
  type ExitStatus,
  errorMessage,
  type InstanceStatus,
  isBerthError,
} from '../core/index.ts';
import type { EngineContext } from './context.ts';
import { HealthMonitor } from './health.ts';
import { enterNetworks, leaveNetworks } from './networks/membership.ts';
import { discard, removeWorkload, underRemoval, volumeEvent } from './removal.ts';
import { nextDelayMs, shouldRestart } from './restart-policy.ts';
import type { Run, Workload } from './workload.ts';

/** Docker's exit status of a start that failed for a reason that says nothing of the command. */
const START_FAILED = 128;

/**
 * Starts the main process; the caller holds the lock and has checked the state. When it fails, the workload shows the
 * error and an exit status of 126, 127 or 128, and is gone if it was to be removed at its end.
 */
export async function launch(ctx: EngineContext, workload: Workload): Promise<void> {
  const instance = workload.requireInstance();
  workload.cut = false;
  try {
    const network = await enterNetworks(ctx, workload);
    const size = workload.nextSize ?? workload.record.spec.consoleSize;
    const options = {
      ...(network === undefined ? {} : { network }),
      ...(size === undefined ? {} : { size }),
    };
    await ctx.starts.count(workload.record.spec.isolation, () => instance.start(options));
  } catch (error) {
    await startFailed(ctx, workload, error);
    if (!workload.cut) throw error;
    const message = `container ${workload.name} was stopped or removed while it was being started`;
    throw new BerthError('conflict', message, { cause: error });
  }
  // Whatever it says of itself, it runs and must be followed.
  const status = await instance.state().catch((): InstanceStatus => ({ state: 'running' }));
  begun(ctx, workload, status);
}

/** The main process runs: says so and awaits its end. */
export function begun(ctx: EngineContext, workload: Workload, status: InstanceStatus): void {
  workload.nextSize = undefined;
  workload.exit = undefined;
  workload.restarting = false;
  // It may have ended by now; that is told by `wait`, after the event of its start.
  const { exit: _, ...begun } = status;
  workload.observe({ ...begun, state: status.state === 'paused' ? 'paused' : 'running' });
  const { record } = workload;
  if (record.error !== '' || record.failure !== undefined) {
    const { failure: __, ...cleared } = { ...record, error: '' };
    ctx.background('record', () => workload.replace(cleared));
  }
  publishMounts(ctx, workload, 'mount');
  ctx.events.publish(workload.event('start'));
  follow(ctx, workload);
}

/** Awaits the end of a running workload and watches its health; for one that was just started or taken over. */
export function follow(ctx: EngineContext, workload: Workload): void {
  const started = Date.parse(workload.startedAt ?? '');
  const run: Run = { startedMs: Number.isNaN(started) ? Date.now() : started };
  workload.run = run;
  const current = () => workload.run === run && !ctx.closing.aborted;
  workload
    .requireInstance()
    .wait(() => {
      if (!current()) return;
      workload.oomKilled = true;
      ctx.events.publish(workload.event('oom'));
    })
    .then(
      (exit) => {
        if (current()) ended(ctx, workload, exit);
      },
      (error: unknown) => {
        if (current()) lost(ctx, workload, error);
      },
    );
  const check = workload.record.config.healthCheck;
  if (check === undefined) return;
  workload.health = new HealthMonitor(ctx, workload, check);
  workload.health.start();
}

async function startFailed(ctx: EngineContext, workload: Workload, error: unknown): Promise<void> {
  leaveNetworks(ctx, workload);
  const message = errorMessage(error);
  const code = isBerthError(error) ? (error.exitStatus ?? START_FAILED) : START_FAILED;
  const failure: ExitStatus = {
    code,
    oomKilled: false,
    reason: 'start-failed',
    message,
    finishedAt: new Date().toISOString(),
  };
  workload.exit = failure;
  workload.restarting = false;
  if (workload.record.spec.autoRemove && !workload.keepAtExit && !workload.removing) {
    try {
      await underRemoval(workload, () => discard(ctx, workload, true));
      return;
    } catch (cause) {
      ctx.log(`container ${workload.name} could not be removed: ${errorMessage(cause)}`);
    }
  }
  await workload.update({ error: message, failure }).catch((cause) => ctx.log(errorMessage(cause)));
  workload.exits.resolve(failure);
  workload.stops.resolve(failure);
}

function ended(ctx: EngineContext, workload: Workload, exit: ExitStatus): void {
  const ranMs = Date.now() - (workload.run?.startedMs ?? Date.now());
  leave(workload);
  workload.state = 'exited';
  workload.exit = exit;
  leaveNetworks(ctx, workload);
  if (exit.oomKilled && !workload.oomKilled) ctx.events.publish(workload.event('oom'));
  ctx.events.publish(
    workload.event('die', {
      exitCode: String(exit.code),
      execDuration: String(Math.max(0, Math.floor(ranMs / 1000))),
      ...(exit.reason === undefined ? {} : { reason: exit.reason }),
      ...(exit.message === undefined ? {} : { message: exit.message }),
    }),
  );
  publishMounts(ctx, workload, 'unmount');
  const { spec, restartCount, manuallyStopped } = workload.record;
  const again =
    !workload.removing && shouldRestart(spec.restart, { exitCode: exit.code, restartCount, manuallyStopped });
  // Marked before anyone who waits for an end hears of it and looks.
  workload.restarting = again;
  workload.exits.resolve(exit);
  if (again) scheduleRestart(ctx, workload, nextDelayMs(workload.restartDelayMs, ranMs));
  else workload.stops.resolve(exit);
  if (spec.autoRemove && !workload.keepAtExit && !workload.removing)
    ctx.background(`removal of container ${workload.name}`, () => removeAtEnd(ctx, workload));
}

/** Who waits for the removal hears that it failed, instead of waiting for ever. */
async function removeAtEnd(ctx: EngineContext, workload: Workload): Promise<void> {
  try {
    await removeWorkload(ctx, workload, { force: false, volumes: true });
  } catch (error) {
    const message = `container ${workload.name} could not be removed: ${errorMessage(error)}`;
    workload.removals.reject(new BerthError('internal', message, { cause: error }));
    throw error;
  }
}

/** Nobody can tell any more how the run ended, or whether. */
function lost(ctx: EngineContext, workload: Workload, error: unknown): void {
  leave(workload);
  workload.state = 'unknown';
  workload.stateReason = errorMessage(error);
  ctx.log(`container ${workload.name}: its end cannot be learned: ${workload.stateReason}`);
  const failure = new BerthError('unavailable', workload.stateReason, { cause: error });
  workload.exits.reject(failure);
  workload.stops.reject(failure);
}

function leave(workload: Workload): void {
  workload.run = undefined;
  workload.pid = 0;
  workload.stateReason = undefined;
  workload.health?.stop();
}

export function scheduleRestart(ctx: EngineContext, workload: Workload, delayMs: number): void {
  workload.restarting = true;
  workload.restartDelayMs = delayMs;
  workload.restartTimer = setTimeout(() => {
    ctx.background(`restart of container ${workload.name}`, () =>
      workload.lock.run(() => again(ctx, workload)),
    );
  }, delayMs);
}

async function again(ctx: EngineContext, workload: Workload): Promise<void> {
  if (!workload.restarting || workload.removing || ctx.closing.aborted) return;
  await workload.update({ restartCount: workload.record.restartCount + 1 });
  if (workload.restarting) await launch(ctx, workload);
}

function publishMounts(ctx: EngineContext, workload: Workload, action: 'mount' | 'unmount'): void {
  for (const { type, name, target, readonly } of workload.record.mounts) {
    if (type !== 'volume' || name === undefined) continue;
    const attributes =
      action === 'mount'
        ? { container: workload.id, destination: target, 'read/write': String(!readonly), propagation: '' }
        : { container: workload.id };
    ctx.events.publish(volumeEvent(action, name, attributes));
  }
}
