// One piece of work that several callers want at once is done once, and all of them see its progress.

import { BerthError } from '../core/index.ts';

interface Flight<T, P> {
  readonly promise: Promise<T>;
  readonly abort: AbortController;
  readonly listeners: Set<(progress: P) => void>;
  last: P | undefined;
}

export interface Caller<P> {
  readonly onProgress?: ((progress: P) => void) | undefined;
  readonly signal?: AbortSignal | undefined;
}

export class SharedTasks<T, P> {
  readonly #flights = new Map<string, Flight<T, P>>();

  /**
   * Joins the task `key`, or begins it with `start`. A caller whose signal aborts leaves with `cancelled`; when the
   * last one leaves, the task is aborted, and that caller returns only when the task has cleaned up after itself.
   */
  async run(
    key: string,
    caller: Caller<P>,
    start: (emit: (progress: P) => void, signal: AbortSignal) => Promise<T>,
  ): Promise<T> {
    for (let ending = this.#flights.get(key); ending?.abort.signal.aborted; ending = this.#flights.get(key))
      await ending.promise.catch(() => {});
    if (caller.signal?.aborted) throw cancelled();
    const flight = this.#flights.get(key) ?? this.#begin(key, start);
    // A set keeps one entry per function, and two callers may share a function.
    const listener = (progress: P) => caller.onProgress?.(progress);
    flight.listeners.add(listener);
    if (flight.last !== undefined) listener(flight.last);
    try {
      return await raceAbort(flight.promise, caller.signal);
    } finally {
      flight.listeners.delete(listener);
      if (flight.listeners.size === 0) {
        flight.abort.abort();
        await flight.promise.catch(() => {});
      }
    }
  }

  #begin(key: string, start: (emit: (progress: P) => void, signal: AbortSignal) => Promise<T>): Flight<T, P> {
    const abort = new AbortController();
    const listeners = new Set<(progress: P) => void>();
    const emit = (progress: P) => {
      flight.last = progress;
      for (const listener of listeners) listener(progress);
    };
    // Deferred by one turn, so that the flight exists when the task first reports.
    const promise = Promise.resolve().then(() => {
      if (abort.signal.aborted) throw cancelled();
      return start(emit, abort.signal);
    });
    const flight: Flight<T, P> = { promise, abort, listeners, last: undefined };
    promise.catch(() => {});
    this.#flights.set(key, flight);
    const over = () => this.#flights.delete(key);
    promise.then(over, over);
    return flight;
  }
}

export function cancelled(): BerthError {
  return new BerthError('cancelled', 'cancelled');
}

/** The promise's result, or `cancelled` as soon as the signal aborts. */
export async function raceAbort<T>(promise: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (signal === undefined) return promise;
  const aborted = Promise.withResolvers<never>();
  const onAbort = () => aborted.reject(cancelled());
  if (signal.aborted) throw cancelled();
  signal.addEventListener('abort', onAbort, { once: true });
  try {
    return await Promise.race([promise, aborted.promise]);
  } finally {
    signal.removeEventListener('abort', onAbort);
  }
}
