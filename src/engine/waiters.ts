// Those who wait for something that happens once or again, and may lose patience.

import { BerthError } from '../core/index.ts';

interface Waiter<T> {
  readonly resolve: (value: T) => void;
  readonly reject: (error: Error) => void;
}

export class Waiters<T> {
  readonly #waiting = new Set<Waiter<T>>();

  /** Settles with the next value. Armed when it returns; rejects with `cancelled` on abort, and then holds nothing. */
  next(signal?: AbortSignal): Promise<T> {
    const { promise, resolve, reject } = Promise.withResolvers<T>();
    const abort = () => settle(() => reject(new BerthError('cancelled', 'waiting was cancelled')));
    const settle = (action: () => void) => {
      this.#waiting.delete(waiter);
      signal?.removeEventListener('abort', abort);
      action();
    };
    const waiter: Waiter<T> = {
      resolve: (value) => settle(() => resolve(value)),
      reject: (error) => settle(() => reject(error)),
    };
    this.#waiting.add(waiter);
    // Who armed it may fail before awaiting it: then nobody is interested any more.
    promise.catch(() => {});
    signal?.addEventListener('abort', abort, { once: true });
    if (signal?.aborted) abort();
    return promise;
  }

  resolve(value: T): void {
    for (const waiter of [...this.#waiting]) waiter.resolve(value);
  }

  reject(error: Error): void {
    for (const waiter of [...this.#waiting]) waiter.reject(error);
  }
}
