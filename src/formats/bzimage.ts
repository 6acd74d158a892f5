// The x86 boot protocol's kernel file (bzImage): finds and unpacks the ELF kernel in it, so that a virtual machine can
// enter it directly and no guest spends its first second unpacking. Source: Documentation/arch/x86/boot.rst.

import { gunzipSync, zstdDecompressSync } from 'node:zlib';
import { decodeLz4Legacy, LZ4_LEGACY_MAGIC } from './lz4.ts';

const SETUP_SECTORS = 0x1f1;
const MAGIC = 0x202;
const VERSION = 0x206;
const PAYLOAD_OFFSET = 0x248;
const PAYLOAD_LENGTH = 0x24c;
const SECTOR_BYTES = 512;
const MAX_KERNEL_BYTES = 256 << 20;
const ELF_MAGIC = 0x7f454c46;

/** The uncompressed ELF kernel of a bzImage; undefined when its compression is not one of LZ4, gzip and zstd. */
export function extractKernel(bzImage: Buffer): Buffer | undefined {
  if (bzImage.length < 0x260 || bzImage.toString('latin1', MAGIC, MAGIC + 4) !== 'HdrS')
    throw new RangeError('not a bzImage: the boot header is missing');
  if (bzImage.readUInt16LE(VERSION) < 0x208)
    throw new RangeError('the bzImage is too old to tell where its payload lies');
  const setup = ((bzImage[SETUP_SECTORS] || 4) + 1) * SECTOR_BYTES;
  const start = setup + bzImage.readUInt32LE(PAYLOAD_OFFSET);
  const payload = bzImage.subarray(start, start + bzImage.readUInt32LE(PAYLOAD_LENGTH));
  const kernel = unpack(payload);
  if (kernel !== undefined && kernel.readUInt32BE(0) !== ELF_MAGIC)
    throw new RangeError('the payload of the bzImage is not an ELF kernel');
  return kernel;
}

function unpack(payload: Buffer): Buffer | undefined {
  if (payload.length < 8) throw new RangeError('the bzImage has no payload');
  const options = { maxOutputLength: MAX_KERNEL_BYTES };
  // The unpacked size is appended to the payload, outside of the compressed stream.
  const stream = payload.subarray(0, payload.length - 4);
  if (payload.readUInt32LE(0) === LZ4_LEGACY_MAGIC) return decodeLz4Legacy(payload, MAX_KERNEL_BYTES);
  if (payload.readUInt16BE(0) === 0x1f8b) return gunzipSync(stream, options);
  if (payload.readUInt32BE(0) === 0x28b52ffd) return zstdDecompressSync(stream, options);
  return undefined;
}
