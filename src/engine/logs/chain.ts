// A log and the older files it was rotated to: log.json, log.json.1, log.json.2 … Files are known by their inodes, as
// rotation moves their names on while they are read.

import { type FileHandle, open, stat } from 'node:fs/promises';
import { findTail, LineFile } from './line-file.ts';

/** Opens what is there, oldest first, so placed that the last `tail` lines follow (all, when absent). */
export async function openChain(path: string, tail: number | undefined): Promise<LineFile[]> {
  for (;;) {
    const files = await openOnce(path, tail);
    if (files !== undefined) return files;
  }
}

/** Newest first, each name once; undefined when names moved on so fast meanwhile that the order is not certain. */
async function openOnce(path: string, tail: number | undefined): Promise<LineFile[] | undefined> {
  const files: LineFile[] = [];
  let wanted = tail;
  let missing = 0;
  try {
    for (let number = 0; wanted === undefined || wanted > 0 || number === 0; number++) {
      const handle = await openIfExists(nameOf(path, number));
      if (handle === undefined) {
        // In the middle of a rotation one name is missing; there may be older ones behind it.
        if (++missing === 2) break;
        continue;
      }
      missing = 0;
      const { ino, size } = await handle.stat({ bigint: true });
      const newer = files[0];
      if (newer?.inode === ino) {
        // The one opened before was rotated meanwhile, and turned up again under its next name.
        await handle.close();
        continue;
      }
      let position = 0;
      if (wanted !== undefined) {
        const found = await findTail(handle, Number(size), wanted);
        position = wanted === 0 ? Number(size) : found.position;
        wanted -= found.lines;
      }
      files.unshift(new LineFile(handle, ino, position));
      // Names only move on: where the newer one is still in front of this name, this one is the older.
      if (newer !== undefined && !(await isBefore(path, newer.inode, number))) {
        await closeAll(files);
        return undefined;
      }
    }
    return files;
  } catch (error) {
    await closeAll(files);
    throw error;
  }
}

async function isBefore(path: string, inode: bigint, end: number): Promise<boolean> {
  for (let number = end - 1; number >= 0; number--) {
    if ((await inodeOf(nameOf(path, number))) === inode) return true;
  }
  return false;
}

/** The file that came after this one, or undefined while it is still the newest. */
export async function openNext(path: string, inode: bigint | undefined): Promise<LineFile | undefined> {
  for (;;) {
    const newer = await findNext(path, inode);
    if (newer === undefined) return undefined;
    const handle = await openIfExists(newer.name);
    if (handle === undefined) continue;
    const { ino } = await handle.stat({ bigint: true });
    if (ino === newer.inode) return new LineFile(handle, ino);
    // Rotated between the look and the opening.
    await handle.close();
  }
}

async function findNext(
  path: string,
  inode: bigint | undefined,
): Promise<{ name: string; inode: bigint } | undefined> {
  let newer: { name: string; inode: bigint } | undefined;
  for (let number = 0, missing = 0; missing < 2; number++) {
    const name = nameOf(path, number);
    const found = await inodeOf(name);
    missing = found === undefined ? missing + 1 : 0;
    if (found === undefined) continue;
    if (found === inode) break;
    newer = { name, inode: found };
  }
  return newer;
}

function nameOf(path: string, number: number): string {
  return number === 0 ? path : `${path}.${number}`;
}

async function inodeOf(path: string): Promise<bigint | undefined> {
  return (await stat(path, { bigint: true }).catch(() => undefined))?.ino;
}

export async function closeAll(files: readonly LineFile[]): Promise<void> {
  await Promise.all(files.map((file) => file.handle.close()));
}

async function openIfExists(path: string): Promise<FileHandle | undefined> {
  return await open(path, 'r').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return undefined;
    throw error;
  });
}
