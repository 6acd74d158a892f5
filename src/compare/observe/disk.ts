// What is really held on disk: allocated blocks, not the length a sparse file claims.

import { lstat, readdir, readFile, readlink, stat } from 'node:fs/promises';
import { join } from 'node:path';

const BLOCK = 512;

/** Blocks of a folder and all in it, each hard-linked file once. What vanishes meanwhile or cannot be read counts 0. */
export async function allocatedBytes(folder: string, seen = new Set<string>()): Promise<number> {
  const facts = await lstat(folder, { bigint: true }).catch(() => undefined);
  if (facts === undefined) return 0;
  const key = `${facts.dev}:${facts.ino}`;
  if (seen.has(key)) return 0;
  seen.add(key);
  let total = Number(facts.blocks) * BLOCK;
  if (!facts.isDirectory()) return total;
  for (const name of await readdir(folder).catch(() => [])) {
    const inner = join(folder, name);
    const below = await lstat(inner, { bigint: true }).catch(() => undefined);
    // A mount below, such as the instance's root, shows the same files a second time.
    if (below !== undefined && below.dev === facts.dev) total += await allocatedBytes(inner, seen);
  }
  return total;
}

export interface HeldFile {
  readonly path: string;
  /** Device and inode: the same file under another name has the same. */
  readonly key: string;
  readonly sizeBytes: number;
  readonly allocatedBytes: number;
}

/** Regular files that a process has open and that have a name. */
export async function openFiles(pid: number): Promise<readonly HeldFile[]> {
  const names = await readdir(`/proc/${pid}/fd`).catch(() => []);
  const paths = await Promise.all(names.map((name) => readlink(`/proc/${pid}/fd/${name}`).catch(() => '')));
  return heldFiles([...new Set(paths.filter((path) => path.startsWith('/')))]);
}

/** Words of a process's command line. */
export async function commandLine(pid: number): Promise<readonly string[]> {
  const text = await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '');
  return text.split('\0').slice(0, -1);
}

/** Sizes of those paths that are regular files. */
export async function heldFiles(paths: readonly string[]): Promise<readonly HeldFile[]> {
  const found = await Promise.all(
    paths.map(async (path) => {
      const facts = await stat(path).catch(() => undefined);
      if (!facts?.isFile()) return undefined;
      return {
        path,
        key: `${facts.dev}:${facts.ino}`,
        sizeBytes: facts.size,
        allocatedBytes: facts.blocks * BLOCK,
      };
    }),
  );
  return found.filter((file) => file !== undefined);
}
