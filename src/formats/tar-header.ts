// Headers of tar entries: ustar, with the GNU and pax ways to say what does not fit.

import { BerthError } from '../core/index.ts';

export const BLOCK_BYTES = 512;

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
  S: 'file',
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

function text(block: Buffer, start: number, length: number): string {
  const field = block.subarray(start, start + length);
  const end = field.indexOf(0);
  return field.subarray(0, end < 0 ? length : end).toString('utf8');
}

function number(block: Buffer, start: number, length: number): number {
  const first = block[start] ?? 0;
  if ((first & 0x80) !== 0) {
    // Base 256, big endian; negative numbers and ones beyond 2^53 are no sizes of ours.
    let value = first & 0x7f;
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
export function parseHeader(block: Buffer): RawHeader {
  if (number(block, 148, 8) !== checksum(block))
    throw new BerthError('invalid-argument', 'not a tar archive: a header has a wrong checksum');
  const flag = String.fromCharCode(block[156] ?? 0);
  const prefix =
    text(block, 257, 5) === 'ustar' && text(block, 257, 8) !== 'ustar  ' ? text(block, 345, 155) : '';
  const name = prefix === '' ? text(block, 0, 100) : `${prefix}/${text(block, 0, 100)}`;
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
    linkName: text(block, 157, 100),
  };
  return { entry, flag };
}

/** The records `length key=value\n` of a pax header. */
export function parsePax(data: Buffer): ReadonlyMap<string, string> {
  const records = new Map<string, string>();
  for (let at = 0; at < data.length; ) {
    const space = data.indexOf(0x20, at);
    const length = space < 0 ? Number.NaN : Number.parseInt(data.subarray(at, space).toString(), 10);
    if (!(length > space - at + 1) || at + length > data.length)
      throw new BerthError('invalid-argument', 'damaged tar archive: a pax header has a wrong length');
    const record = data.subarray(space + 1, at + length - 1).toString('utf8');
    const equals = record.indexOf('=');
    if (equals > 0) records.set(record.slice(0, equals), record.slice(equals + 1));
    at += length;
  }
  return records;
}

function putNumber(block: Buffer, start: number, length: number, value: number): void {
  block.write(value.toString(8).padStart(length - 1, '0'), start, 'latin1');
}

function paxRecord(key: string, value: string): string {
  const body = ` ${key}=${value}\n`;
  const bytes = Buffer.byteLength(body);
  let length = bytes + String(bytes).length;
  if (bytes + String(length).length > length) length += 1;
  return `${length}${body}`;
}

/** What only some entries have. */
export interface TarExtras {
  /** Major and minor number of a device node. */
  readonly device?: readonly [major: number, minor: number];
  /** More pax records, e.g. SCHILY.xattr.user.name. */
  readonly pax?: Readonly<Record<string, string>>;
}

function block(entry: TarEntry, flag: string, device: readonly [number, number] = [0, 0]): Buffer {
  const header = Buffer.alloc(BLOCK_BYTES);
  header.write(entry.name, 0, 100);
  putNumber(header, 100, 8, entry.mode);
  putNumber(header, 108, 8, Math.min(entry.uid, 0o7777777));
  putNumber(header, 116, 8, Math.min(entry.gid, 0o7777777));
  putNumber(header, 124, 12, Math.min(entry.sizeBytes, 0o77777777777));
  putNumber(header, 136, 12, entry.mtime);
  header.write(flag, 156, 'latin1');
  header.write(entry.linkName, 157, 100);
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
  entry: TarEntry & { readonly type: Exclude<TarType, 'other'> },
  { device, pax = {} }: TarExtras = {},
): Buffer {
  const stored = entry.type === 'folder' ? { ...entry, name: `${entry.name}/` } : entry;
  const records = Object.entries(pax).map(([key, value]) => paxRecord(key, value));
  if (Buffer.byteLength(stored.name) > 100) records.push(paxRecord('path', stored.name));
  if (Buffer.byteLength(entry.linkName) > 100) records.push(paxRecord('linkpath', entry.linkName));
  if (entry.sizeBytes > 0o77777777777) records.push(paxRecord('size', String(entry.sizeBytes)));
  if (entry.uid > 0o7777777) records.push(paxRecord('uid', String(entry.uid)));
  if (entry.gid > 0o7777777) records.push(paxRecord('gid', String(entry.gid)));
  const header = block(stored, FLAGS[entry.type], device);
  if (records.length === 0) return header;
  const data = Buffer.from(records.join(''));
  const paxEntry: TarEntry = { ...entry, name: 'pax', sizeBytes: data.length, mode: 0o644, linkName: '' };
  return Buffer.concat([block(paxEntry, 'x'), data, padding(data.length), header]);
}
