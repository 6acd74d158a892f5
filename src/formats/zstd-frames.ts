// Cuts a zstd stream into its frames (RFC 8878). Node's decompressor stops after the first frame of a chunk and does
// not notice a missing end, while layers may have many frames (pzstd, zstd:chunked): so the frames are found here.

import { BerthError } from '../core/index.ts';
import type { ByteReader } from './byte-reader.ts';

const FRAME_MAGIC = 0xfd2fb528;
const SKIPPABLE_MAGIC = 0x184d2a50;
const DICTIONARY_ID_BYTES = [0, 1, 2, 4] as const;
const CONTENT_SIZE_BYTES = [0, 2, 4, 8] as const;

function truncated(): BerthError {
  return new BerthError('invalid-argument', 'the zstd data is damaged: it ends too early');
}

async function takeAll(reader: ByteReader, count: number): Promise<Buffer> {
  const bytes = await reader.take(count);
  if (bytes === undefined) throw truncated();
  return bytes;
}

/** Skips skippable frames; resolves to whether a data frame follows. */
export async function seekFrame(reader: ByteReader): Promise<boolean> {
  for (;;) {
    const magic = await reader.peek(4);
    if (magic.length === 0) return false;
    if (magic.length < 4) throw truncated();
    const value = magic.readUInt32LE();
    if (value === FRAME_MAGIC) return true;
    // Padding with zeros up to a block is harmless and happens.
    if (value === 0) return false;
    if ((value & 0xfffffff0) >>> 0 !== SKIPPABLE_MAGIC)
      throw new BerthError('invalid-argument', 'the zstd data is damaged: no frame where one must begin');
    const header = await takeAll(reader, 8);
    await skip(reader, header.readUInt32LE(4));
  }
}

async function skip(reader: ByteReader, count: number): Promise<void> {
  for (let left = count; left > 0; ) {
    const chunk = await reader.takeSome(left);
    if (chunk === undefined) throw truncated();
    left -= chunk.length;
  }
}

/** The bytes of the frame that begins here, and no byte more. */
export async function* frameBytes(reader: ByteReader): AsyncGenerator<Buffer> {
  const start = await takeAll(reader, 5);
  const descriptor = start[4] ?? 0;
  const singleSegment = (descriptor & 0x20) !== 0;
  const sizeFlag = descriptor >> 6;
  const sizeBytes = sizeFlag === 0 && singleSegment ? 1 : (CONTENT_SIZE_BYTES[sizeFlag] ?? 0);
  const headerBytes = (singleSegment ? 0 : 1) + (DICTIONARY_ID_BYTES[descriptor & 3] ?? 0) + sizeBytes;
  yield start;
  if (headerBytes > 0) yield await takeAll(reader, headerBytes);
  for (let last = false; !last; ) {
    const block = await takeAll(reader, 3);
    const header = block.readUIntLE(0, 3);
    last = (header & 1) === 1;
    const runLength = ((header >> 1) & 3) === 1;
    yield Buffer.concat([block, await takeAll(reader, runLength ? 1 : header >> 3)]);
  }
  if ((descriptor & 4) !== 0) yield await takeAll(reader, 4);
}
