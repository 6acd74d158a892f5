// Files that are made once and trusted for long, e.g. a kernel unpacked or an image's disk. Beside each lies its seal:
// how large it is and what is in it, of large ones at places all over. A file whose name stands is flushed to disk; one
// that a crash, a full disk or an earlier version left otherwise has no seal that fits, and is to be made again.

import { createHash } from 'node:crypto';
import { open, rename, rm, stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import { flushFolder, readIfExists, writeAtomic } from './files.ts';

/** Changes with the meaning of seals. */
const FORMAT = 1;
/** Smaller files are looked at as a whole. */
const WHOLE_BYTES = 4 << 20;
const PIECE_BYTES = 64 << 10;
const PIECES = 32;

/** Identities of the files that were whole at the last look, by path. Nobody writes to these files. */
const known = new Map<string, string>();

function sealPath(path: string): string {
  return `${path}.seal`;
}

/** The file, made at `temporary` on the same file system, gets its name when it and its seal are on the disk. */
export async function sealFile(temporary: string, path: string): Promise<void> {
  const file = await open(temporary, 'r');
  try {
    await file.sync();
  } finally {
    await file.close();
  }
  await rm(path, { force: true });
  await writeAtomic(sealPath(path), await sealOf(temporary), { durable: true });
  await rename(temporary, path);
  await flushFolder(dirname(path));
  known.set(path, await identityOf(path));
}

/** As `sealFile`, of the content. */
export async function writeSealed(
  path: string,
  content: Uint8Array,
  options: { readonly mode?: number } = {},
): Promise<void> {
  await rm(path, { force: true });
  await writeAtomic(sealPath(path), sealOfContent(content), { durable: true });
  await writeAtomic(path, content, { ...options, durable: true });
  known.set(path, await identityOf(path));
}

/** Whether the file is there and as it was sealed. Looked at once, unless somebody changes it. */
export async function isSealed(path: string): Promise<boolean> {
  try {
    const identity = await identityOf(path);
    if (known.get(path) === identity) return true;
    if ((await readIfExists(sealPath(path))) !== (await sealOf(path))) return false;
    known.set(path, identity);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return false;
    throw error;
  }
}

/** The seal of a file that has one. */
export function readSeal(path: string): Promise<string | undefined> {
  return readIfExists(sealPath(path));
}

export async function removeSealed(path: string): Promise<void> {
  known.delete(path);
  await Promise.all([rm(path, { force: true }), rm(sealPath(path), { force: true })]);
}

async function identityOf(path: string): Promise<string> {
  const { ino, size, mtimeMs, ctimeMs } = await stat(path);
  return `${ino} ${size} ${mtimeMs} ${ctimeMs}`;
}

/** The places to look at: all of a small file; of a large one its beginning, with the structure, and samples. */
function places(size: number): [at: number, bytes: number][] {
  if (size <= WHOLE_BYTES) return [[0, size]];
  const far = Array.from({ length: PIECES }, (_, piece) => ((size - PIECE_BYTES) * (piece + 1)) / PIECES);
  return [[0, 4 * PIECE_BYTES], ...far.map((at): [number, number] => [Math.floor(at), PIECE_BYTES])];
}

function sealOfContent(content: Uint8Array): string {
  const pieces = places(content.length).map(([at, bytes]) => content.subarray(at, at + bytes));
  return sealText(content.length, pieces);
}

async function sealOf(path: string): Promise<string> {
  const file = await open(path, 'r');
  try {
    const { size } = await file.stat();
    const pieces: Buffer[] = [];
    for (const [at, bytes] of places(size)) {
      const { buffer, bytesRead } = await file.read(Buffer.alloc(bytes), 0, bytes, at);
      pieces.push(buffer.subarray(0, bytesRead));
    }
    return sealText(size, pieces);
  } finally {
    await file.close();
  }
}

function sealText(size: number, pieces: readonly Uint8Array[]): string {
  const hash = createHash('sha256');
  for (const piece of pieces) hash.update(piece);
  return JSON.stringify({ format: FORMAT, size, sum: hash.digest('hex') });
}
