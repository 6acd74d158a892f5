// Tar archives as streams: reading entry by entry, writing entry by entry, content never held in memory.

import { BerthError } from '../core/index.ts';
import { ByteReader } from './byte-reader.ts';
import {
  BLOCK_BYTES,
  formatHeader,
  type NameEncoding,
  padding,
  parseHeader,
  parsePax,
  type TarEntry,
  type TarExtras,
  type TarType,
} from './tar-header.ts';

export type { NameEncoding, TarEntry, TarType } from './tar-header.ts';

const MAX_META_BYTES = 1 << 20;

export interface TarItem extends TarEntry {
  /** The content. May be left unread or half read; is over once the next entry is asked for. */
  content(): AsyncGenerator<Buffer>;
}

/** What a header in front of an entry says of it. */
export interface Overrides {
  name?: string;
  linkName?: string;
  sizeBytes?: number;
  uid?: number;
  gid?: number;
  mtime?: number;
}

/**
 * The entries of an uncompressed tar stream, in order; what follows its end mark is read over, so that a source that fails
 * there is noticed. Fails with `invalid-argument` when it is no tar or is truncated.
 */
export async function* readTar(
  source: AsyncIterable<Uint8Array>,
  encoding: NameEncoding = 'utf8',
): AsyncGenerator<TarItem> {
  const reader = new ByteReader(source);
  try {
    let overrides: Overrides = {};
    for (;;) {
      if ((await reader.peek(1)).length === 0) return;
      const header = await reader.take(BLOCK_BYTES);
      if (header === undefined) throw truncated();
      if (header.every((byte) => byte === 0)) return await reader.finish();
      const { entry, flag } = parseHeader(header, encoding);
      if (isMeta(flag)) {
        overrides = applyMeta(overrides, flag, await takeMeta(reader, entry), encoding);
        continue;
      }
      const merged: TarEntry = { ...entry, ...overrides };
      overrides = {};
      const body = new Body(reader, merged);
      yield { ...merged, content: () => body.chunks() };
      await body.skip();
    }
  } finally {
    await reader.close();
  }
}

export function truncated(): BerthError {
  return new BerthError('invalid-argument', 'damaged tar archive: it ends too early');
}

export function isMeta(flag: string): boolean {
  return flag === 'x' || flag === 'g' || flag === 'L' || flag === 'K';
}

/** What a header in front of an entry carries, of a bounded size. */
export async function takeMeta(reader: ByteReader, entry: TarEntry): Promise<Buffer> {
  if (entry.sizeBytes > MAX_META_BYTES)
    throw new BerthError('invalid-argument', `damaged tar archive: a name of ${entry.sizeBytes} bytes`);
  const data = await reader.take(entry.sizeBytes);
  const rest = await reader.take(padding(entry.sizeBytes).length);
  if (data === undefined || rest === undefined) throw truncated();
  return data;
}

const NUMBERS = { size: 'sizeBytes', uid: 'uid', gid: 'gid', mtime: 'mtime' } as const;

export function applyMeta(
  before: Overrides,
  flag: string,
  data: Buffer,
  encoding: NameEncoding = 'utf8',
): Overrides {
  if (flag === 'g') return before;
  const long = data.subarray(0, data.indexOf(0) < 0 ? data.length : data.indexOf(0)).toString(encoding);
  if (flag === 'L') return { ...before, name: long };
  if (flag === 'K') return { ...before, linkName: long };
  const records = parsePax(data, encoding);
  const overrides: Overrides = { ...before };
  const name = records.get('path');
  const linkName = records.get('linkpath');
  if (name !== undefined) overrides.name = name.replace(/(.)\/+$/, '$1');
  if (linkName !== undefined) overrides.linkName = linkName;
  for (const [key, field] of Object.entries(NUMBERS)) {
    const value = records.get(key);
    if (value === undefined) continue;
    if (!(field === 'mtime' ? /^-?\d{1,12}(\.\d*)?$/ : /^\d{1,15}$/).test(value))
      throw new BerthError('invalid-argument', `damaged tar archive: an absurd ${key} in a pax header`);
    overrides[field] = Number(value);
  }
  return overrides;
}

class Body {
  readonly #reader: ByteReader;
  readonly #padding: number;
  #left: number;

  constructor(reader: ByteReader, entry: TarEntry) {
    this.#reader = reader;
    this.#left = entry.type === 'file' || entry.type === 'other' ? entry.sizeBytes : 0;
    this.#padding = padding(this.#left).length;
  }

  async *chunks(): AsyncGenerator<Buffer> {
    while (this.#left > 0) {
      const chunk = await this.#reader.takeSome(this.#left);
      if (chunk === undefined) throw truncated();
      this.#left -= chunk.length;
      yield chunk;
    }
  }

  async skip(): Promise<void> {
    for await (const _chunk of this.chunks());
    if ((await this.#reader.take(this.#padding)) === undefined) throw truncated();
  }
}

export interface TarInput extends TarExtras {
  readonly name: string;
  readonly type: Exclude<TarType, 'other'>;
  readonly mode?: number;
  readonly uid?: number;
  readonly gid?: number;
  readonly mtime?: number;
  readonly linkName?: string;
  /** Content of a file; a stream needs `sizeBytes`. */
  readonly content?: Uint8Array | string | AsyncIterable<Uint8Array>;
  readonly sizeBytes?: number;
}

/** A tar stream of the entries, with its end mark. Fails with `internal` when a stream is not as long as it said. */
export async function* writeTar(
  entries: Iterable<TarInput> | AsyncIterable<TarInput>,
  encoding: NameEncoding = 'utf8',
): AsyncGenerator<Buffer> {
  for await (const input of entries) {
    const content = typeof input.content === 'string' ? Buffer.from(input.content) : input.content;
    const fixed = content === undefined || content instanceof Uint8Array;
    const sizeBytes = fixed ? (content?.length ?? 0) : (input.sizeBytes ?? 0);
    const entry = {
      name: input.name,
      type: input.type,
      sizeBytes,
      mode: input.mode ?? (input.type === 'folder' ? 0o755 : 0o644),
      uid: input.uid ?? 0,
      gid: input.gid ?? 0,
      mtime: input.mtime ?? 0,
      linkName: input.linkName ?? '',
    };
    yield formatHeader(entry, input, encoding);
    if (fixed) {
      if (content !== undefined) yield Buffer.from(content.buffer, content.byteOffset, content.byteLength);
    } else yield* exactly(content, sizeBytes, input.name);
    if (sizeBytes % BLOCK_BYTES !== 0) yield padding(sizeBytes);
  }
  yield Buffer.alloc(2 * BLOCK_BYTES);
}

async function* exactly(
  content: AsyncIterable<Uint8Array>,
  sizeBytes: number,
  name: string,
): AsyncGenerator<Buffer> {
  let written = 0;
  for await (const chunk of content) {
    written += chunk.length;
    yield Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength);
  }
  if (written !== sizeBytes)
    throw new BerthError('internal', `${name}: ${written} bytes where ${sizeBytes} were announced`);
}
