// Waiting with an end: a time limit, an abort, or both.

import { BerthError } from '../core/index.ts';

export interface Patience {
  /** Absent or infinite: without limit. */
  readonly limitMs?: number;
  readonly signal?: AbortSignal;
}

/** Longest delay of a timer. */
const MAX_DELAY_MS = 2 ** 31 - 1;

/**
 * Settles as `work` does. Fails with `timeout` after the limit, naming `what` did not answer, or with `cancelled` on
 * abort; the work goes on then, and its end is nobody's concern.
 */
export async function within<T>(work: Promise<T>, patience: Patience, what: string): Promise<T> {
  const { limitMs, signal } = patience;
  const over = Promise.withResolvers<never>();
  const late = () =>
    over.reject(
      new BerthError('timeout', `${what} did not answer within ${Math.round((limitMs ?? 0) / 100) / 10} s`),
    );
  const isLimited = limitMs !== undefined && Number.isFinite(limitMs);
  const timer = isLimited ? setTimeout(late, Math.min(limitMs, MAX_DELAY_MS)) : undefined;
  const abort = () => over.reject(new BerthError('cancelled', `waiting for ${what} was cancelled`));
  signal?.addEventListener('abort', abort, { once: true });
  if (signal?.aborted) abort();
  try {
    return await Promise.race([work, over.promise]);
  } finally {
    clearTimeout(timer);
    signal?.removeEventListener('abort', abort);
    work.catch(() => {});
  }
}

/** Whether `work` settled within the limit; a negative limit is none. A rejection is passed on. */
export async function settlesWithin(work: Promise<unknown>, limitMs: number): Promise<boolean> {
  if (limitMs < 0) return await work.then(() => true);
  const late = Promise.withResolvers<false>();
  const timer = setTimeout(() => late.resolve(false), Math.min(limitMs, MAX_DELAY_MS));
  try {
    return await Promise.race([work.then(() => true), late.promise]);
  } finally {
    clearTimeout(timer);
  }
}
