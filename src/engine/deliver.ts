// Signals to a workload, and patience until it ends.

import { type ExitStatus, isBerthError } from '../core/index.ts';
import type { EngineContext } from './context.ts';
import type { Workload } from './workload.ts';

/** After SIGKILL this long is allowed before the instance counts as stuck. */
export const KILL_LIMIT_MS = 30_000;

/**
 * Sends a signal that is meant to end the workload, which must be running: a paused one is resumed, as it could not
 * act on it. That it has just ended is no failure.
 */
export async function deliver(ctx: EngineContext, workload: Workload, signal: number): Promise<void> {
  const instance = workload.requireInstance();
  try {
    if (workload.state === 'paused' && instance.pausing !== undefined) {
      await instance.pausing.resume();
      if (workload.state === 'paused') workload.state = 'running';
      ctx.events.publish(workload.event('unpause'));
    }
    await instance.kill(signal);
  } catch (error) {
    if (!isBerthError(error, 'invalid-state')) throw error;
  }
  ctx.events.publish(workload.event('kill', { signal: String(signal) }));
}

/** Whether it ended in time; a negative limit is none. */
export async function endWithin(end: Promise<ExitStatus>, limitMs: number): Promise<boolean> {
  if (limitMs < 0) return await end.then(() => true);
  const late = Promise.withResolvers<false>();
  const timer = setTimeout(() => late.resolve(false), Math.min(limitMs, 2 ** 31 - 1));
  try {
    return await Promise.race([end.then(() => true), late.promise]);
  } finally {
    clearTimeout(timer);
  }
}
