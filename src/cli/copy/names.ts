// Host paths as strings of bytes: one character a byte (latin1), as names on disk are bytes and need not be UTF-8.
// All of src/cli/copy works on these; they become text only for people and for the daemon's API.

import { readFileSync } from 'node:fs';

const REPLACED = '\ufffd';

export const toBytes = (text: string): string => Buffer.from(text, 'utf8').toString('latin1');

/** For people: bytes that are not UTF-8 show as U+FFFD, control characters as \xNN. */
export const toText = (bytes: string): string =>
  fromBytes(bytes).replace(/\p{Cc}/gu, (c) => `\\x${c.charCodeAt(0).toString(16).padStart(2, '0')}`);

export const fromBytes = (bytes: string): string => Buffer.from(bytes, 'latin1').toString('utf8');

/** A name in the form that node:fs takes. */
export const onDisk = (bytes: string): Buffer => Buffer.from(bytes, 'latin1');

/** An argument of this process in its own bytes, which the runtime has turned into text. */
export function argumentBytes(text: string): string {
  if (!text.includes(REPLACED)) return toBytes(text);
  const given = readFileSync('/proc/self/cmdline').toString('latin1').split('\0');
  return given.find((bytes) => fromBytes(bytes) === text) ?? toBytes(text);
}

/** The parts of a path inside an archive; empty ones and dots say nothing. */
export const partsOf = (name: string): string[] =>
  name.split('/').filter((part) => part !== '' && part !== '.');
