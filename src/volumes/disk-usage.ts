// How much of the disk a folder holds.

import type { Stats } from 'node:fs';
import { lstat, readdir } from 'node:fs/promises';
import { join } from 'node:path';

const MAX_CONCURRENT = 16;
const BLOCK_BYTES = 512;

/**
 * Bytes of the blocks allocated below `folder`, hard links counted once. What vanishes meanwhile counts nothing, other
 * file systems mounted inside are left out, and so are the top-level entries that `skip` names.
 */
export async function allocatedBytes(
  folder: string,
  skip: (name: string) => boolean = () => false,
): Promise<number> {
  const root = await statIfExists(folder);
  if (root === undefined) return 0;
  const seen = new Set<number>();
  let total = 0;
  let queue = (await names(folder)).filter((name) => !skip(name)).map((name) => join(folder, name));
  while (queue.length > 0) {
    const next: string[] = [];
    for (let start = 0; start < queue.length; start += MAX_CONCURRENT) {
      const batch = queue.slice(start, start + MAX_CONCURRENT);
      const found = await Promise.all(batch.map((path) => measure(path, root.dev)));
      for (const { stats, children } of found) {
        if (stats === undefined || (stats.nlink > 1 && !stats.isDirectory() && seen.has(stats.ino))) continue;
        if (stats.nlink > 1) seen.add(stats.ino);
        total += stats.blocks * BLOCK_BYTES;
        next.push(...children);
      }
    }
    queue = next;
  }
  return total;
}

async function measure(
  path: string,
  device: number,
): Promise<{ stats: Stats | undefined; children: readonly string[] }> {
  const stats = await statIfExists(path);
  if (stats === undefined || stats.dev !== device) return { stats: undefined, children: [] };
  if (!stats.isDirectory()) return { stats, children: [] };
  return { stats, children: (await names(path)).map((name) => join(path, name)) };
}

async function statIfExists(path: string): Promise<Stats | undefined> {
  return await lstat(path).catch(absent);
}

async function names(path: string): Promise<string[]> {
  return (await readdir(path).catch(absent)) ?? [];
}

function absent(error: NodeJS.ErrnoException): undefined {
  if (error.code === 'ENOENT' || error.code === 'ENOTDIR') return undefined;
  throw error;
}
