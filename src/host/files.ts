// Files whose content must be whole or absent, whatever happens in between.

import { randomBytes } from 'node:crypto';
import { open, readFile, rename, rm } from 'node:fs/promises';
import { dirname } from 'node:path';

export interface WriteAtomicOptions {
  readonly mode?: number;
  /** Survive a power failure too, not only the death of this process. Costs a disk flush. */
  readonly durable?: boolean;
}

/** Replaces the file by one with this content: readers and crashes see the old one or the new one, nothing between. */
export async function writeAtomic(
  path: string,
  data: string | Uint8Array,
  options: WriteAtomicOptions = {},
): Promise<void> {
  const temporary = `${path}.${randomBytes(6).toString('hex')}.tmp`;
  try {
    const file = await open(temporary, 'wx', options.mode ?? 0o600);
    try {
      await file.writeFile(data);
      if (options.durable) await file.sync();
    } finally {
      await file.close();
    }
    await rename(temporary, path);
  } catch (error) {
    await rm(temporary, { force: true });
    throw error;
  }
  if (options.durable) await flushFolder(dirname(path));
}

/** Flushes the names in the folder to the disk. */
export async function flushFolder(path: string): Promise<void> {
  const folder = await open(path, 'r');
  try {
    await folder.sync();
  } finally {
    await folder.close();
  }
}

/** The text of the file, or undefined if there is none. */
export async function readIfExists(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    // ESRCH and ENODEV: a /proc or cgroup file whose process or group went away while it was read.
    const code = (error as NodeJS.ErrnoException).code ?? '';
    if (['ENOENT', 'ENOTDIR', 'ESRCH', 'ENODEV'].includes(code)) return undefined;
    throw error;
  }
}
