// A byte connection as the HTTP client sees it: pulled by its one reader, so that a slow reader holds the sender back.

import { type Address, formatAddress } from './address.ts';
import { BerthSdkError } from './errors.ts';

export interface Link {
  /** The next bytes, or undefined once the peer ended. Rejects when the connection broke or was closed here. */
  read(): Promise<Buffer | undefined>;
  /** Resolves when more may be written; rejects when the connection is gone. */
  write(data: Uint8Array): Promise<void>;
  /** Half-close: no more will be written, reading goes on. */
  end(): void;
  close(reason?: Error): void;
  /** Whether this connection keeps the process alive. */
  hold(on: boolean): void;
  /** False once the peer ended or either side closed. */
  readonly open: boolean;
}

export type Dial = (address: Address) => Promise<Link>;

const HIGH_WATER_BYTES = 256 * 1024;

/** Bytes that arrived and were not read yet. */
export class Inbox {
  readonly #chunks: Buffer[] = [];
  readonly #flow: (on: boolean) => void;
  #bytes = 0;
  #ended = false;
  #error: Error | undefined;
  #waiting: { resolve(value: Buffer | undefined): void; reject(error: Error): void } | undefined;

  /** `flow(false)` is called when the sender should stop for now, `flow(true)` when it may go on. */
  constructor(flow: (on: boolean) => void) {
    this.#flow = flow;
  }

  push(chunk: Buffer): void {
    const waiting = this.#waiting;
    if (waiting !== undefined) {
      this.#waiting = undefined;
      waiting.resolve(chunk);
      return;
    }
    this.#chunks.push(chunk);
    this.#bytes += chunk.length;
    if (this.#bytes >= HIGH_WATER_BYTES) this.#flow(false);
  }

  /** No more will come; with an error, reads fail once the rest was read. */
  finish(error?: Error): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#error = error;
    const waiting = this.#waiting;
    this.#waiting = undefined;
    if (error === undefined) waiting?.resolve(undefined);
    else waiting?.reject(error);
  }

  read(): Promise<Buffer | undefined> {
    const chunk = this.#chunks.shift();
    if (chunk !== undefined) {
      const before = this.#bytes;
      this.#bytes -= chunk.length;
      if (before >= HIGH_WATER_BYTES && this.#bytes < HIGH_WATER_BYTES) this.#flow(true);
      return Promise.resolve(chunk);
    }
    if (this.#error !== undefined) return Promise.reject(this.#error);
    if (this.#ended) return Promise.resolve(undefined);
    return new Promise((resolve, reject) => {
      this.#waiting = { resolve, reject };
    });
  }

  get ended(): boolean {
    return this.#ended;
  }
}

/** What a failed connection means to a user. */
export function unavailable(address: Address, cause: unknown): BerthSdkError {
  const text = cause instanceof Error ? cause.message : String(cause);
  const code = (cause as NodeJS.ErrnoException | undefined)?.code;
  const reason = code === undefined || text.includes(code) ? text : `${text} (${code})`;
  return new BerthSdkError(
    'unavailable',
    `cannot connect to the Berth daemon at ${formatAddress(address)}: ${reason}`,
    { cause },
  );
}

/** The error of a connection that is used after its end. */
export function closedError(cause?: Error): BerthSdkError {
  return new BerthSdkError('unavailable', cause?.message ?? 'the connection to the daemon was closed', {
    cause,
  });
}
