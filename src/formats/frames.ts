// The one frame format of Berth's byte streams: an 8-byte header and a payload. It is Docker's multiplexed-stream
// header with two of its always-zero bytes put to use, so that output frames pass from a supervisor to a Docker client
// unchanged: [type u8, channel u24 BE, length u32 BE]. Types and fields: docs/guest-protocol.md.

export const FRAME = {
  stdin: 0,
  stdout: 1,
  stderr: 2,
  open: 16,
  opened: 17,
  resize: 18,
  signal: 19,
  exit: 20,
  fail: 21,
  window: 22,
  oom: 23,
} as const;

export const HEADER_BYTES = 8;
/** A longer frame is an error of the peer, not a reason to allocate. */
export const MAX_FRAME_BYTES = 1 << 20;

export interface Frame {
  readonly type: number;
  readonly channel: number;
  readonly payload: Buffer;
}

/** One frame as bytes. */
export function encodeFrame(type: number, payload: Uint8Array | string = '', channel = 0): Buffer {
  const body = typeof payload === 'string' ? Buffer.from(payload) : payload;
  const frame = Buffer.allocUnsafe(HEADER_BYTES + body.length);
  frame.writeUInt32BE(((type << 24) | channel) >>> 0, 0);
  frame.writeUInt32BE(body.length, 4);
  frame.set(body, HEADER_BYTES);
  return frame;
}

/** Cuts a byte stream into frames. Feed chunks in order; a frame's payload may alias the chunk it came in. */
export class FrameDecoder {
  #rest: Buffer = Buffer.alloc(0);

  /** All frames completed by this chunk. Throws RangeError when a length exceeds MAX_FRAME_BYTES. */
  push(chunk: Buffer): Frame[] {
    let data = this.#rest.length === 0 ? chunk : Buffer.concat([this.#rest, chunk]);
    const frames: Frame[] = [];
    while (data.length >= HEADER_BYTES) {
      const length = data.readUInt32BE(4);
      if (length > MAX_FRAME_BYTES)
        throw new RangeError(`frame of ${length} bytes exceeds ${MAX_FRAME_BYTES}`);
      const end = HEADER_BYTES + length;
      if (data.length < end) break;
      const head = data.readUInt32BE(0);
      frames.push({ type: head >>> 24, channel: head & 0xffffff, payload: data.subarray(HEADER_BYTES, end) });
      data = data.subarray(end);
    }
    this.#rest = data;
    return frames;
  }

  /** Bytes of an incomplete frame that are still held. */
  get pendingBytes(): number {
    return this.#rest.length;
  }
}

export type FieldValue = string | number | boolean | readonly string[] | undefined;

/**
 * Fields of a control frame: `key=value` strings, each ended by NUL; a list repeats its key; true is 1, false and
 * undefined are left out. Throws RangeError when a value holds a NUL byte.
 */
export function encodeFields(fields: Readonly<Record<string, FieldValue>>): Buffer {
  const parts: string[] = [];
  for (const [key, value] of Object.entries(fields)) {
    if (value === undefined || value === false) continue;
    const values = typeof value === 'object' ? value : [value === true ? '1' : String(value)];
    for (const item of values) {
      if (item.includes('\0')) throw new RangeError(`field ${key} holds a NUL byte`);
      parts.push(`${key}=${item}\0`);
    }
  }
  return Buffer.from(parts.join(''));
}

/** The fields of a control frame, each key with all its values in order. Text without `=` is passed over. */
export function decodeFields(payload: Buffer): Map<string, string[]> {
  const fields = new Map<string, string[]>();
  for (const part of payload.toString().split('\0')) {
    const cut = part.indexOf('=');
    if (cut <= 0) continue;
    const key = part.slice(0, cut);
    const list = fields.get(key);
    if (list === undefined) fields.set(key, [part.slice(cut + 1)]);
    else list.push(part.slice(cut + 1));
  }
  return fields;
}
