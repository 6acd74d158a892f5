// sha256 digests, the only names that content has.

import { createHash } from 'node:crypto';
import { BerthError } from '../core/index.ts';

const DIGEST = /^sha256:[0-9a-f]{64}$/;

export function isDigest(text: string): boolean {
  return DIGEST.test(text);
}

/** Returns `text` if it is a sha256 digest; fails with `invalid-argument` naming what it was to identify. */
export function parseDigest(text: unknown, what: string): string {
  if (typeof text === 'string' && isDigest(text)) return text;
  throw new BerthError('invalid-argument', `${what}: ${JSON.stringify(text)} is not a sha256 digest`);
}

export function hexOf(digest: string): string {
  return digest.slice('sha256:'.length);
}

/** The 12 digits that people see. */
export function shortId(digest: string): string {
  return hexOf(digest).slice(0, 12);
}

export function digestOf(data: Uint8Array | string): string {
  return `sha256:${createHash('sha256').update(data).digest('hex')}`;
}

/** Digests a stream as it passes. */
export class Digester {
  readonly #hash = createHash('sha256');
  #bytes = 0;

  get bytes(): number {
    return this.#bytes;
  }

  update(chunk: Uint8Array): void {
    this.#hash.update(chunk);
    this.#bytes += chunk.length;
  }

  /** Ends it. */
  digest(): string {
    return `sha256:${this.#hash.digest('hex')}`;
  }

  async *pass(source: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
    for await (const chunk of source) {
      this.update(chunk);
      yield chunk;
    }
  }
}
