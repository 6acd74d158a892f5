// Headers of tar entries: ustar, with the GNU and pax ways to say what does not fit.

import { BerthError } from '../core/index.ts';

export const BLOCK_BYTES = 512;

/** How names are strings: `latin1` has a character for each byte, so that no name is lost or changed. */
export type NameEncoding = 'utf8' | 'latin1';

export type TarType = 'file' | 'link' | 'symlink' | 'char' | 'block' | 'folder' | 'fifo' | 'other';

export interface TarEntry {
  /** As stored, without a trailing slash. */
  readonly name: string;
  readonly type: TarType;
  readonly sizeBytes: number;
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  /** Seconds since the epoch. */
  readonly mtime: number;
  readonly linkName: string;
  /** The numbers of a device. */
  readonly major: number;
  readonly minor: number;
}

const TYPES: Readonly<Record<string, TarType>> = {
  '\0': 'file',
  '0': 'file',
  '1': 'link',
  '2': 'symlink',
  '3': 'char',
  '4': 'block',
  '5': 'folder',
  '6': 'fifo',
  '7': 'file',
};
const FLAGS: Readonly<Record<Exclude<TarType, 'other'>, string>> = {
  file: '0',
  link: '1',
  symlink: '2',
  char: '3',
  block: '4',
  folder: '5',
  fifo: '6',
};

function text(block: Buffer, start: number, length: number, encoding: NameEncoding = 'latin1'): string {
  const field = block.subarray(start, start + length);
  const end = field.indexOf(0);
  return field.subarray(0, end < 0 ? length : end).toString(encoding);
}

function number(block: Buffer, start: number, length: number): number {
  const first = block[start] ?? 0;
  if ((first & 0x80) !== 0) {
    // Base 256, big endian, two's complement; what is beyond 2^53 is no number of ours.
    let value = (first & 0x40) === 0 ? first & 0x3f : -1;
    for (let at = start + 1; at < start + length; at++) value = value * 256 + (block[at] ?? 0);
    return value;
  }
  const digits = text(block, start, length).trim();
  if (digits === '') return 0;
  return /^[0-7]+$/.test(digits) ? Number.parseInt(digits, 8) : Number.NaN;
}

function checksum(block: Buffer): number {
  let sum = 8 * 32;
  for (let at = 0; at < BLOCK_BYTES; at++) if (at < 148 || at >= 156) sum += block[at] ?? 0;
  return sum;
}

export interface RawHeader {
  readonly entry: TarEntry;
  /** The type letter: 'x', 'g', 'L' and 'K' describe the entry that follows. */
  readonly flag: string;
}

/** Reads one header block. Fails with `invalid-argument` when its checksum or a number in it is wrong. */
export function parseHeader(block: Buffer, encoding: NameEncoding = 'utf8'): RawHeader {
  if (number(block, 148, 8) !== checksum(block))
    throw new BerthError('invalid-argument', 'not a tar archive: a header has a wrong checksum');
  const flag = String.fromCharCode(block[156] ?? 0);
  const prefix =
    text(block, 257, 5) === 'ustar' && text(block, 257, 8) !== 'ustar  '
      ? text(block, 345, 155, encoding)
      : '';
  const base = text(block, 0, 100, encoding);
  const name = prefix === '' ? base : `${prefix}/${base}`;
  const sizeBytes = number(block, 124, 12);
  if (!Number.isSafeInteger(sizeBytes) || sizeBytes < 0)
    throw new BerthError('invalid-argument', `damaged tar archive: ${name} has an absurd size`);
  const entry: TarEntry = {
    name: name.length > 1 ? name.replace(/\/+$/, '') : name,
    type: TYPES[flag] ?? 'other',
    sizeBytes,
    mode: number(block, 100, 8),
    uid: number(block, 108, 8),
    gid: number(block, 116, 8),
    mtime: number(block, 136, 12),
    linkName: text(block, 157, 100, encoding),
    major: number(block, 329, 8),
    minor: number(block, 337, 8),
  };
  for (const value of [entry.mode, entry.uid, entry.gid, entry.mtime])
    if (!Number.isSafeInteger(value))
      throw new BerthError('invalid-argument', `damaged tar archive: ${name} has a field that is no number`);
  return { entry, flag };
}

/** The records `length key=value\n` of a pax header. */
export function parsePax(data: Buffer, encoding: NameEncoding = 'utf8'): ReadonlyMap<string, string> {
  const records = new Map<string, string>();
  for (let at = 0; at < data.length; ) {
    const space = data.indexOf(0x20, at);
    const digits = space < 0 ? '' : data.subarray(at, space).toString('latin1');
    const length = /^\d{1,8}$/.test(digits) ? Number(digits) : Number.NaN;
    if (!(length > space - at + 1) || at + length > data.length)
      throw new BerthError('invalid-argument', 'damaged tar archive: a pax header has a wrong length');
    const record = data.subarray(space + 1, at + length - 1).toString(encoding);
    const equals = record.indexOf('=');
    if (equals > 0) records.set(record.slice(0, equals), record.slice(equals + 1));
    at += length;
  }
  return records;
}

function putNumber(block: Buffer, start: number, length: number, value: number): void {
  block.write(value.toString(8).padStart(length - 1, '0'), start, 'latin1');
}

function paxRecord(key: string, value: string, encoding: NameEncoding = 'utf8'): Buffer {
  const body = Buffer.from(` ${key}=${value}\n`, encoding);
  let length = body.length + String(body.length).length;
  if (body.length + String(length).length > length) length += 1;
  return Buffer.concat([Buffer.from(String(length)), body]);
}

/** What only some entries have. */
export interface TarExtras {
  /** Major and minor number of a device node. */
  readonly device?: readonly [major: number, minor: number];
  /** More pax records, e.g. SCHILY.xattr.user.name. */
  readonly pax?: Readonly<Record<string, string>>;
}

type Fields = Omit<TarEntry, 'major' | 'minor'>;

function block(
  entry: Fields,
  flag: string,
  encoding: NameEncoding,
  device: readonly [number, number] = [0, 0],
): Buffer {
  const header = Buffer.alloc(BLOCK_BYTES);
  header.write(entry.name, 0, 100, encoding);
  putNumber(header, 100, 8, entry.mode);
  putNumber(header, 108, 8, Math.min(entry.uid, 0o7777777));
  putNumber(header, 116, 8, Math.min(entry.gid, 0o7777777));
  putNumber(header, 124, 12, Math.min(entry.sizeBytes, 0o77777777777));
  putNumber(header, 136, 12, Math.min(Math.max(entry.mtime, 0), 0o77777777777));
  header.write(flag, 156, 'latin1');
  header.write(entry.linkName, 157, 100, encoding);
  header.write('ustar\x0000', 257, 'latin1');
  putNumber(header, 329, 8, device[0]);
  putNumber(header, 337, 8, device[1]);
  header.write(`${checksum(header).toString(8).padStart(6, '0')}\0 `, 148, 'latin1');
  return header;
}

export function padding(sizeBytes: number): Buffer {
  return Buffer.alloc((BLOCK_BYTES - (sizeBytes % BLOCK_BYTES)) % BLOCK_BYTES);
}

/** The header of an entry; with a pax header before it where a field does not fit into ustar's. */
export function formatHeader(
  entry: Fields & { readonly type: Exclude<TarType, 'other'> },
  { device, pax = {} }: TarExtras = {},
  encoding: NameEncoding = 'utf8',
): Buffer {
  const stored = entry.type === 'folder' ? { ...entry, name: `${entry.name}/` } : entry;
  const tooLong = (name: string) => Buffer.byteLength(name, encoding) > 100;
  const records = Object.entries(pax).map(([key, value]) => paxRecord(key, value));
  if (tooLong(stored.name)) records.push(paxRecord('path', stored.name, encoding));
  if (tooLong(entry.linkName)) records.push(paxRecord('linkpath', entry.linkName, encoding));
  if (entry.sizeBytes > 0o77777777777) records.push(paxRecord('size', String(entry.sizeBytes)));
  if (entry.uid > 0o7777777) records.push(paxRecord('uid', String(entry.uid)));
  if (entry.gid > 0o7777777) records.push(paxRecord('gid', String(entry.gid)));
  if (entry.mtime < 0 || entry.mtime > 0o77777777777) records.push(paxRecord('mtime', String(entry.mtime)));
  const header = block(stored, FLAGS[entry.type], encoding, device);
  if (records.length === 0) return header;
  const data = Buffer.concat(records);
  const paxEntry = { ...entry, name: 'pax', sizeBytes: data.length, mode: 0o644, linkName: '' };
  return Buffer.concat([block(paxEntry, 'x', encoding), data, padding(data.length), header]);
}
