import assert from 'node:assert/strict';
import { test } from 'node:test';
import { gzipSync, zstdCompressSync } from 'node:zlib';
import { isBerthError } from '../core/index.ts';
import { type DecompressLimits, decompress, detectCompression } from './compression.ts';

async function* slices(data: Buffer, size: number): AsyncGenerator<Buffer> {
  for (let at = 0; at < data.length; at += size) yield data.subarray(at, at + size);
}

async function collect(data: Buffer, size = 1 << 16, limits?: DecompressLimits): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of decompress(slices(data, size), limits)) chunks.push(chunk);
  return Buffer.concat(chunks);
}

function skippable(bytes: number): Buffer {
  const frame = Buffer.alloc(8 + bytes, 7);
  frame.writeUInt32LE(0x184d2a53, 0);
  frame.writeUInt32LE(bytes, 4);
  return frame;
}

const text = Buffer.from('berth '.repeat(200_000));
const noise = Buffer.from(Array.from({ length: 300_000 }, (_, index) => (index * index * 31 + index) & 255));

test('plain, gzip and zstd data come out as they went in, whatever the size of the chunks', async () => {
  for (const data of [text, noise, Buffer.alloc(0)])
    for (const packed of [data, gzipSync(data), zstdCompressSync(data)])
      for (const size of [977, 1 << 20]) assert.ok((await collect(packed, size)).equals(data));
});

test('several gzip members and several zstd frames are one stream', async () => {
  const twice = Buffer.concat([text, noise]);
  assert.ok((await collect(Buffer.concat([gzipSync(text), gzipSync(noise)]))).equals(twice));
  const frames = Buffer.concat([
    skippable(5),
    zstdCompressSync(text),
    skippable(0),
    zstdCompressSync(noise),
    skippable(70_000),
  ]);
  for (const size of [1, 4096, frames.length]) assert.ok((await collect(frames, size)).equals(twice));
});

test('truncated and damaged data is refused', async () => {
  for (const packed of [gzipSync(noise), zstdCompressSync(noise)]) {
    for (const cut of [3, packed.length >> 1, packed.length - 8])
      await assert.rejects(collect(packed.subarray(0, packed.length - cut)), (error) =>
        isBerthError(error, 'invalid-argument'),
      );
  }
  const damaged = gzipSync(noise);
  damaged.fill(0, 1000, 1010);
  await assert.rejects(collect(damaged), (error) => isBerthError(error, 'invalid-argument'));
});

test('a decompression bomb is refused by ratio and by size', async () => {
  const zeros = Buffer.alloc(8 << 20);
  const limits = { maxBytes: 1 << 30, maxRatio: 100, ratioFromBytes: 1 << 20 };
  for (const packed of [gzipSync(zeros), zstdCompressSync(zeros)])
    await assert.rejects(collect(packed, 1 << 16, limits), /decompression bomb/);
  await assert.rejects(
    collect(zeros, 1 << 16, { ...limits, maxBytes: 1 << 20 }),
    /more than the limit of 1048576 bytes/,
  );
});

test('compressions that are not supported are named', () => {
  assert.throws(() => detectCompression(Buffer.from('\xfd7zXZ\0', 'latin1')), /xz compression/);
  assert.throws(() => detectCompression(Buffer.from('BZh91A', 'latin1')), /bzip2 compression/);
});
