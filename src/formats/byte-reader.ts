// Reads exact numbers of bytes from a source that delivers chunks of any size.

/** Owns its source: `close` ends it. Not for concurrent use. */
export class ByteReader {
  readonly #source: AsyncIterator<Uint8Array>;
  #pending: Buffer = Buffer.alloc(0);
  #ended = false;

  constructor(source: AsyncIterable<Uint8Array>) {
    this.#source = source[Symbol.asyncIterator]();
  }

  /** The next `count` bytes without consuming them; fewer only at the end. */
  async peek(count: number): Promise<Buffer> {
    if (this.#pending.length < count) await this.#fill(count);
    return this.#pending.subarray(0, count);
  }

  /** Exactly `count` bytes, or undefined when the source ends before that (what was left is consumed). */
  async take(count: number): Promise<Buffer | undefined> {
    if (this.#pending.length < count) await this.#fill(count);
    const taken = this.#pending.subarray(0, count);
    this.#pending = this.#pending.subarray(taken.length);
    return taken.length === count ? taken : undefined;
  }

  /** Between 1 and `count` bytes, as they come; undefined at the end. */
  async takeSome(count: number): Promise<Buffer | undefined> {
    if (this.#pending.length === 0) await this.#fill(1);
    if (this.#pending.length === 0) return undefined;
    const taken = this.#pending.subarray(0, count);
    this.#pending = this.#pending.subarray(taken.length);
    return taken;
  }

  /** Everything that is left, in chunks. */
  async *rest(): AsyncGenerator<Buffer> {
    for (;;) {
      const chunk = await this.takeSome(Number.MAX_SAFE_INTEGER);
      if (chunk === undefined) return;
      yield chunk;
    }
  }

  /** Reads over everything that is left; fails as the source does. */
  async finish(): Promise<void> {
    while ((await this.takeSome(Number.MAX_SAFE_INTEGER)) !== undefined);
  }

  async close(): Promise<void> {
    this.#ended = true;
    await this.#source.return?.();
  }

  async #fill(count: number): Promise<void> {
    const chunks = [this.#pending];
    let length = this.#pending.length;
    while (length < count && !this.#ended) {
      const next = await this.#source.next();
      if (next.done) this.#ended = true;
      else {
        chunks.push(Buffer.from(next.value.buffer, next.value.byteOffset, next.value.byteLength));
        length += next.value.byteLength;
      }
    }
    this.#pending = chunks.length === 1 ? this.#pending : Buffer.concat(chunks, length);
  }
}
