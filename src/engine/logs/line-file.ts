// A growing file of lines, read forwards from any place.

import type { FileHandle } from 'node:fs/promises';

const CHUNK_BYTES = 128 << 10;
/** A longer line is no entry of ours. Its end is kept, which may be one: a crash leaves NULs in front of entries. */
const MAX_LINE_BYTES = 2 << 20;
const LINE_FEED = 0x0a;

export class LineFile {
  readonly handle: FileHandle;
  readonly inode: bigint;
  readonly #buffer = Buffer.allocUnsafe(CHUNK_BYTES);
  #position: number;
  #pieces: Buffer[] = [];
  #pendingBytes = 0;

  constructor(handle: FileHandle, inode: bigint, position = 0) {
    this.handle = handle;
    this.inode = inode;
    this.#position = position;
  }

  /** The lines of the next chunk, without line feeds; undefined at the end of what the file holds by now. */
  async read(): Promise<string[] | undefined> {
    const { bytesRead } = await this.handle.read(this.#buffer, 0, CHUNK_BYTES, this.#position);
    if (bytesRead === 0) return undefined;
    this.#position += bytesRead;
    return this.#split(this.#buffer.subarray(0, bytesRead));
  }

  #split(chunk: Buffer): string[] {
    const lines: string[] = [];
    let start = 0;
    for (let end = chunk.indexOf(LINE_FEED); end >= 0; end = chunk.indexOf(LINE_FEED, start)) {
      const line = this.#complete(chunk.subarray(start, end));
      if (line !== '') lines.push(line);
      start = end + 1;
    }
    this.#keep(chunk.subarray(start));
    return lines;
  }

  #complete(end: Buffer): string {
    const line =
      this.#pieces.length === 0 ? end.toString() : Buffer.concat([...this.#pieces, end]).toString();
    this.#pieces = [];
    this.#pendingBytes = 0;
    return line;
  }

  #keep(rest: Buffer): void {
    if (rest.length === 0) return;
    this.#pieces.push(Buffer.from(rest));
    this.#pendingBytes += rest.length;
    while (this.#pendingBytes > MAX_LINE_BYTES) this.#pendingBytes -= this.#pieces.shift()?.length ?? 0;
  }
}

/** Where the last `count` lines of the file begin, and how many there are if they are fewer. Reads from the end. */
export async function findTail(
  handle: FileHandle,
  size: number,
  count: number,
): Promise<{ readonly position: number; readonly lines: number }> {
  const buffer = Buffer.allocUnsafe(CHUNK_BYTES);
  let found = 0;
  for (let end = size; end > 0; ) {
    const start = Math.max(0, end - CHUNK_BYTES);
    const { bytesRead } = await handle.read(buffer, 0, end - start, start);
    for (let at = buffer.lastIndexOf(LINE_FEED, bytesRead - 1); at >= 0; ) {
      // Each line feed but the very last one ends the line before one that is wanted.
      if (found === count) return { position: start + at + 1, lines: count };
      found++;
      at = at === 0 ? -1 : buffer.lastIndexOf(LINE_FEED, at - 1);
    }
    end = start;
  }
  return { position: 0, lines: found };
}
