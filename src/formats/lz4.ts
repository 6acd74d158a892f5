// LZ4 as the kernel's build packs its image: the legacy frame (magic, then blocks of at most 8 MiB, each with its
// compressed length). Source: the LZ4 block format and frame format descriptions.

export const LZ4_LEGACY_MAGIC = 0x184c2102;
const MAX_BLOCK_BYTES = 8 << 20;
const MIN_MATCH = 4;

/** Unpacks a legacy LZ4 frame. Throws RangeError when the data is damaged or larger than `limitBytes`. */
export function decodeLz4Legacy(data: Buffer, limitBytes: number): Buffer {
  if (data.length < 4 || data.readUInt32LE(0) !== LZ4_LEGACY_MAGIC)
    throw new RangeError('not a legacy LZ4 frame');
  const blocks: Buffer[] = [];
  let total = 0;
  let at = 4;
  while (at + 4 <= data.length) {
    const length = data.readUInt32LE(at);
    at += 4;
    // A packed kernel is followed by its unpacked size, which is no block.
    if (length === 0 || length > data.length - at) break;
    const block = Buffer.allocUnsafe(MAX_BLOCK_BYTES);
    const size = decodeBlock(data.subarray(at, at + length), block);
    total += size;
    if (total > limitBytes) throw new RangeError(`LZ4 data unpacks to more than ${limitBytes} bytes`);
    blocks.push(block.subarray(0, size));
    at += length;
  }
  return Buffer.concat(blocks, total);
}

/** Unpacks one block into `output`; returns how many bytes it made. */
function decodeBlock(input: Buffer, output: Buffer): number {
  const cursor = { at: 0 };
  let out = 0;
  while (cursor.at < input.length) {
    const token = byteAt(input, cursor.at++);
    const literals = extendedLength(input, cursor, token >> 4);
    if (cursor.at + literals > input.length || out + literals > output.length)
      throw new RangeError('damaged LZ4 block: literals run past the end');
    input.copy(output, out, cursor.at, cursor.at + literals);
    cursor.at += literals;
    out += literals;
    if (cursor.at === input.length) break;
    const offset = byteAt(input, cursor.at) | (byteAt(input, cursor.at + 1) << 8);
    cursor.at += 2;
    const length = extendedLength(input, cursor, token & 15) + MIN_MATCH;
    copyMatch(output, out, offset, length);
    out += length;
  }
  return out;
}

function byteAt(input: Buffer, at: number): number {
  const value = input[at];
  if (value === undefined) throw new RangeError('damaged LZ4 block: it ends too early');
  return value;
}

function extendedLength(input: Buffer, cursor: { at: number }, nibble: number): number {
  let length = nibble;
  if (nibble !== 15) return length;
  for (;;) {
    const more = byteAt(input, cursor.at++);
    length += more;
    if (more !== 255) return length;
  }
}

function copyMatch(output: Buffer, at: number, offset: number, length: number): void {
  const from = at - offset;
  if (offset === 0 || from < 0 || at + length > output.length)
    throw new RangeError('damaged LZ4 block: a match points outside the block');
  if (offset >= length) {
    output.copy(output, at, from, from + length);
    return;
  }
  // The match overlaps what it produces: it repeats a pattern of `offset` bytes.
  for (let i = 0; i < length; i++) output[at + i] = byteAt(output, from + i);
}
