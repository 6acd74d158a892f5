// Compression of layers and archives, told by the data itself: media types and file names lie.

import { Readable, type Transform } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { createGunzip, createZstdDecompress } from 'node:zlib';
import { BerthError, errorMessage, isBerthError } from '../core/index.ts';
import { ByteReader } from './byte-reader.ts';
import { frameBytes, seekFrame } from './zstd-frames.ts';

export type Compression = 'none' | 'gzip' | 'zstd';

const OUTPUT_CHUNK_BYTES = 256 * 1024;

/** Formats that people have but that we do not read; naming them beats "not a tar archive". */
const UNSUPPORTED: Readonly<Record<string, readonly number[]>> = {
  xz: [0xfd, 0x37, 0x7a, 0x58, 0x5a],
  bzip2: [0x42, 0x5a, 0x68],
};

function startsWith(data: Uint8Array, magic: readonly number[]): boolean {
  return data.length >= magic.length && magic.every((byte, index) => data[index] === byte);
}

/** Judges by the first bytes (6 are enough). Fails with `unsupported` for compressions that we know by name only. */
export function detectCompression(start: Uint8Array): Compression {
  if (startsWith(start, [0x1f, 0x8b])) return 'gzip';
  if (startsWith(start, [0x28, 0xb5, 0x2f, 0xfd])) return 'zstd';
  // A skippable zstd frame, which some tools put first.
  if (((start[0] ?? 0) & 0xf0) === 0x50 && startsWith(start.subarray(1), [0x2a, 0x4d, 0x18])) return 'zstd';
  for (const [name, magic] of Object.entries(UNSUPPORTED))
    if (startsWith(start, magic))
      throw new BerthError(
        'unsupported',
        `${name} compression is not supported: use gzip, zstd or no compression`,
      );
  return 'none';
}

export interface DecompressLimits {
  /** Most bytes that may come out. */
  readonly maxBytes: number;
  /** Most bytes out per byte in, applied once `ratioFromBytes` came out: small archives may compress very well. */
  readonly maxRatio: number;
  readonly ratioFromBytes: number;
}

export const DEFAULT_LIMITS: DecompressLimits = {
  maxBytes: 64 * 2 ** 30,
  maxRatio: 250,
  ratioFromBytes: 256 * 2 ** 20,
};

/**
 * The uncompressed bytes of gzip (any number of members), zstd (any number of frames) or plain data. Fails with
 * `invalid-argument` when the data is damaged, incomplete or beyond the limits. Ends its source in every case.
 */
export async function* decompress(
  source: AsyncIterable<Uint8Array>,
  limits: DecompressLimits = DEFAULT_LIMITS,
): AsyncGenerator<Buffer> {
  const count = { in: 0 };
  const reader = new ByteReader(counted(source, count));
  try {
    const compression = detectCompression(await reader.peek(6));
    let out = 0;
    for await (const chunk of opened(reader, compression)) {
      out += chunk.length;
      checkLimits(out, compression === 'none' ? out : count.in, limits);
      yield chunk;
    }
  } finally {
    await reader.close();
  }
}

async function* counted(
  source: AsyncIterable<Uint8Array>,
  count: { in: number },
): AsyncGenerator<Uint8Array> {
  for await (const chunk of source) {
    count.in += chunk.length;
    yield chunk;
  }
}

function checkLimits(out: number, read: number, limits: DecompressLimits): void {
  if (out > limits.maxBytes)
    throw new BerthError('invalid-argument', `it unpacks to more than the limit of ${limits.maxBytes} bytes`);
  if (out > limits.ratioFromBytes && out > read * limits.maxRatio)
    throw new BerthError(
      'invalid-argument',
      `it looks like a decompression bomb: ${read} bytes unpack to more than ${out} (limit: ${limits.maxRatio} times)`,
    );
}

async function* opened(reader: ByteReader, compression: Compression): AsyncGenerator<Buffer> {
  if (compression === 'none') yield* reader.rest();
  else if (compression === 'gzip')
    yield* through(reader.rest(), createGunzip({ chunkSize: OUTPUT_CHUNK_BYTES }), 'gzip');
  else
    while (await seekFrame(reader))
      yield* through(frameBytes(reader), createZstdDecompress({ chunkSize: OUTPUT_CHUNK_BYTES }), 'zstd');
}

async function* through(
  source: AsyncIterable<Buffer>,
  transform: Transform,
  name: string,
): AsyncGenerator<Buffer> {
  const fed = pipeline(Readable.from(source, { objectMode: false }), transform);
  // The error reaches us by the iteration below too; here it only must not be unhandled.
  fed.catch(() => {});
  try {
    for await (const chunk of transform as AsyncIterable<Buffer>) yield chunk;
    await fed;
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? String(error.code) : '';
    if (isBerthError(error) || !/^(Z_|ZSTD_|ERR_ZSTD)/i.test(code)) throw error;
    throw new BerthError('invalid-argument', `the ${name} data is damaged: ${errorMessage(error)}`, {
      cause: error,
    });
  } finally {
    transform.destroy();
  }
}
