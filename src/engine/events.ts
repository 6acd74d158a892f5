// What happened, in order: the last few thousand events in memory, and everyone who listens.

import { BerthError, type BerthEvent } from '../core/index.ts';
import type { Events } from './api.ts';

const KEPT_EVENTS = 4096;
/** A listener that falls this far behind is cut off with an error rather than fed from ever more memory. */
const MAX_QUEUED_EVENTS = 16384;
const MAX_TIMER_MS = 2 ** 31 - 1;

interface SubscribeOptions {
  readonly sinceNano?: bigint;
  readonly untilNano?: bigint;
  readonly signal?: AbortSignal;
}

export class EventLog implements Events {
  readonly #kept: BerthEvent[] = [];
  readonly #listeners = new Set<Subscription>();
  #lastNano = 0n;

  publish(event: Omit<BerthEvent, 'timeNano'>): void {
    const stamped: BerthEvent = { ...event, timeNano: this.#now() };
    this.#kept.push(stamped);
    // Cut in large pieces: shifting an array by one at each event would move it all each time.
    if (this.#kept.length >= 2 * KEPT_EVENTS) this.#kept.splice(0, KEPT_EVENTS);
    for (const listener of this.#listeners) listener.push(stamped);
  }

  /** Listens from the moment it is called, not only from the first `next`. */
  subscribe(options: SubscribeOptions): AsyncIterable<BerthEvent> {
    const subscription = new Subscription(options, () => this.#listeners.delete(subscription));
    const { sinceNano } = options;
    if (sinceNano !== undefined)
      for (const event of this.#kept.slice(-KEPT_EVENTS))
        if (event.timeNano >= sinceNano) subscription.push(event);
    this.#listeners.add(subscription);
    subscription.arm();
    return subscription;
  }

  /** Ends every subscription. */
  close(): void {
    for (const listener of [...this.#listeners]) listener.end();
  }

  /** The clock counts milliseconds; events within one are kept apart, so that their order can be asked for. */
  #now(): bigint {
    const now = BigInt(Date.now()) * 1_000_000n;
    this.#lastNano = now > this.#lastNano ? now : this.#lastNano + 1n;
    return this.#lastNano;
  }
}

class Subscription implements AsyncIterableIterator<BerthEvent> {
  readonly #untilNano: bigint | undefined;
  readonly #signal: AbortSignal | undefined;
  readonly #onEnd: () => void;
  readonly #queue: BerthEvent[] = [];
  readonly #abort = () => this.end();
  #timer: NodeJS.Timeout | undefined;
  #wake: (() => void) | undefined;
  #ended = false;
  #error: Error | undefined;

  constructor(options: SubscribeOptions, onEnd: () => void) {
    this.#untilNano = options.untilNano;
    this.#signal = options.signal;
    this.#onEnd = onEnd;
  }

  arm(): void {
    this.#signal?.addEventListener('abort', this.#abort, { once: true });
    if (this.#signal?.aborted) this.end();
    if (this.#untilNano !== undefined && !this.#ended) this.#awaitUntil(this.#untilNano);
  }

  push(event: BerthEvent): void {
    if (this.#ended || (this.#untilNano !== undefined && event.timeNano > this.#untilNano)) return;
    if (this.#queue.length >= MAX_QUEUED_EVENTS) {
      this.#error = new BerthError('exhausted', 'the reader of events is too slow: events were lost');
      this.end();
      return;
    }
    this.#queue.push(event);
    this.#wake?.();
  }

  /** No more events come; those that came are still delivered. */
  end(): void {
    if (this.#ended) return;
    this.#ended = true;
    clearTimeout(this.#timer);
    this.#signal?.removeEventListener('abort', this.#abort);
    this.#onEnd();
    this.#wake?.();
  }

  async next(): Promise<IteratorResult<BerthEvent>> {
    for (;;) {
      const value = this.#queue.shift();
      if (value !== undefined) return { done: false, value };
      if (this.#error !== undefined) throw this.#error;
      if (this.#ended) return { done: true, value: undefined };
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }

  async return(): Promise<IteratorResult<BerthEvent>> {
    this.#queue.length = 0;
    this.end();
    return { done: true, value: undefined };
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  #awaitUntil(untilNano: bigint): void {
    const remainingMs = Number((untilNano - BigInt(Date.now()) * 1_000_000n) / 1_000_000n);
    if (remainingMs <= 0) {
      this.end();
      return;
    }
    const due = remainingMs <= MAX_TIMER_MS;
    this.#timer = setTimeout(
      () => (due ? this.end() : this.#awaitUntil(untilNano)),
      Math.min(remainingMs, MAX_TIMER_MS),
    ).unref();
  }
}
