// A log and the older files it was rotated to: log.json, log.json.1, log.json.2 … Files are known by their inodes, as
// rotation moves their names on while they are read.

import { type FileHandle, open, stat } from 'node:fs/promises';
import { findTail, LineFile } from './line-file.ts';

/** Opens what is there, oldest first, so placed that the last `tail` lines follow (all, when absent). */
export async function openChain(path: string, tail: number | undefined): Promise<LineFile[]> {
  const files: LineFile[] = [];
  let wanted = tail;
  try {
    // Newest first: what is rotated meanwhile turns up again under the next name, and is known by its inode.
    for (let number = 0; wanted === undefined || wanted > 0 || number === 0; number++) {
      const handle = await openIfExists(number === 0 ? path : `${path}.${number}`);
      if (handle === undefined) {
        // Just after a rotation there is no newest file yet, but older ones.
        if (number === 0) continue;
        break;
      }
      const { ino, size } = await handle.stat({ bigint: true });
      if (files.some((file) => file.inode === ino)) {
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
    }
    return files;
  } catch (error) {
    await closeAll(files);
    throw error;
  }
}

/** The file that came after this one, or undefined while it is still the newest. */
export async function openNext(path: string, inode: bigint | undefined): Promise<LineFile | undefined> {
  let newer: string | undefined;
  for (let number = 0; ; number++) {
    const name = number === 0 ? path : `${path}.${number}`;
    const found = await stat(name, { bigint: true }).catch(() => undefined);
    if (found !== undefined && found.ino === inode) break;
    if (found !== undefined) newer = name;
    else if (number > 0) break;
  }
  if (newer === undefined) return undefined;
  const handle = await openIfExists(newer);
  if (handle === undefined) return undefined;
  const { ino } = await handle.stat({ bigint: true });
  if (ino === inode) {
    // Rotated between the look and the opening.
    await handle.close();
    return await openNext(path, inode);
  }
  return new LineFile(handle, ino);
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
