// The parts of a call: its options, its answer, its query string and its abort signal.

import { BerthSdkError } from './errors.ts';
import type { ResponseHead } from './http.ts';
import type { Link } from './link.ts';

export type QueryValue = string | number | boolean | readonly string[] | undefined;
export type Query = Readonly<Record<string, QueryValue>>;

export interface CallOptions {
  readonly query?: Query;
  readonly headers?: Readonly<Record<string, string>>;
  /** Sent as JSON. */
  readonly json?: unknown;
  /** Sent as it comes, chunked. */
  readonly stream?: AsyncIterable<Uint8Array>;
  readonly signal?: AbortSignal;
}

/** A body that is read once. Leaving the iteration early closes its connection. */
export class Answer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: AsyncIterable<Buffer>;

  constructor(head: ResponseHead, body: AsyncIterable<Buffer>) {
    this.status = head.status;
    this.headers = head.headers;
    this.body = body;
  }

  async text(): Promise<string> {
    const chunks: Buffer[] = [];
    for await (const chunk of this.body) chunks.push(chunk);
    return Buffer.concat(chunks).toString();
  }

  async json<T>(): Promise<T> {
    const text = await this.text();
    try {
      return JSON.parse(text) as T;
    } catch (cause) {
      throw new BerthSdkError('internal', 'the daemon answered with malformed JSON', { cause });
    }
  }

  /** Reads the body to its end, so that the connection can be used again. */
  async drain(): Promise<void> {
    for await (const _ of this.body);
  }
}

/** The query with its question mark, or nothing. True is 1, false and undefined are left out, lists repeat. */
export function encodeQuery(query: Query | undefined): string {
  const parts: string[] = [];
  for (const [name, value] of Object.entries(query ?? {})) {
    if (value === undefined || value === false) continue;
    const values = typeof value === 'object' ? value : [value === true ? '1' : String(value)];
    for (const item of values) parts.push(`${name}=${encodeURIComponent(item)}`);
  }
  return parts.length === 0 ? '' : `?${parts.join('&')}`;
}

/** A connection that became a raw byte stream in both directions. */
export interface RawStream {
  readonly headers: Readonly<Record<string, string>>;
  readonly output: AsyncIterable<Buffer>;
  write(data: Uint8Array): Promise<void>;
  /** Ends our direction; output goes on. */
  end(): void;
  close(): void;
}

export interface AbortGuard extends Disposable {
  /** The error to show in place of the broken connection, if an abort broke it. */
  reason(): BerthSdkError | undefined;
}

/** Closes the link when the signal fires; dispose when the link's use is over. */
export function closeOnAbort(link: Link, signal: AbortSignal | undefined): AbortGuard {
  if (signal === undefined) return { reason: () => undefined, [Symbol.dispose]: () => undefined };
  const onAbort = () => link.close(cancelled(signal));
  signal.addEventListener('abort', onAbort, { once: true });
  return {
    reason: () => (signal.aborted ? cancelled(signal) : undefined),
    [Symbol.dispose]: () => signal.removeEventListener('abort', onAbort),
  };
}

export function cancelled(signal: AbortSignal): BerthSdkError {
  return new BerthSdkError('cancelled', 'the request was cancelled', { cause: signal.reason });
}

/** The source, with an abort's own error, and its ends tidied up. */
export async function* guarded(
  source: AsyncIterable<Buffer>,
  link: Link | undefined,
  aborted: AbortGuard,
): AsyncGenerator<Buffer, void> {
  try {
    yield* source;
  } catch (error) {
    throw aborted.reason() ?? error;
  } finally {
    aborted[Symbol.dispose]();
    link?.close();
  }
}
