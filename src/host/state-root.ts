// The folder that holds all state: closed to every other user of the host.

import { chmod, lstat, mkdir, readdir, realpath } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { BerthError } from '../core/index.ts';

const CLOSED = 0o700;
const STICKY = 0o1000;
/** Below lie workloads' own files, whose modes are theirs: `workloads/ID/upper`, `volumes/NAME/_data`. */
const LEVELS_OF_OURS = 2;

/**
 * Makes the folder, or mends one of an older version: nobody but this user enters it, nor any folder of ours in it. Set-uid
 * files of workloads lie there, and the content of images whatever their modes. Fails with `invalid-argument` for a
 * folder that belongs to someone else or to all.
 */
export async function openStateRoot(path: string): Promise<void> {
  await mkdir(dirname(path), { recursive: true });
  await mkdir(path, { mode: CLOSED }).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'EEXIST') throw error;
  });
  const root = await realpath(path);
  const { uid, mode } = await lstat(root);
  if (uid !== process.geteuid?.())
    throw new BerthError(
      'invalid-argument',
      `${path} belongs to user ${uid}: give BERTH_ROOT a folder of its own`,
    );
  if ((mode & STICKY) !== 0)
    throw new BerthError(
      'invalid-argument',
      `${path} is shared by all users: give BERTH_ROOT a folder of its own`,
    );
  await close(root, LEVELS_OF_OURS);
}

async function close(folder: string, levels: number): Promise<void> {
  if (((await lstat(folder)).mode & 0o077) !== 0) await chmod(folder, CLOSED);
  if (levels === 0) return;
  const entries = await readdir(folder, { withFileTypes: true });
  const folders = entries.filter((entry) => entry.isDirectory());
  await Promise.all(folders.map((entry) => close(join(folder, entry.name), levels - 1)));
}
