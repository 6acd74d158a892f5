// File systems in files: what limits how much can be written where the host's own file system has no quota for it.

import { mkdir, mkdtemp, open, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { run } from './process.ts';

/** A file of holes reads as zeros: the tables need no writing, and an empty file system takes about 100 KiB. */
const OPTIONS = [
  ...['-q', '-F', '-b', '4096', '-m', '0', '-i', '16384', '-O', '^resize_inode,sparse_super2'],
  ...['-E', 'assume_storage_prezeroed=1,nodiscard,num_backup_sb=0'],
];

export interface ImageFileOptions {
  /** A folder to be in it from the start. */
  readonly folder?: string;
  /** It is mounted once and then thrown away: a journal could repair nothing. */
  readonly ephemeral?: boolean;
}

const MIB = 2 ** 20;

/**
 * How large the file has to be for that much content: one inode of 256 bytes for 16 KiB, what ext4 keeps back so that
 * delayed writes find room (2 %, at most 16 MiB), the journal, and a little for the rest. Content of small files takes more.
 */
export function imageFileBytes(
  contentBytes: number,
  { ephemeral = false }: Pick<ImageFileOptions, 'ephemeral'> = {},
): number {
  const journal = ephemeral ? 0 : journalBytes(contentBytes);
  const inodes = contentBytes / 60;
  const keptBack = Math.min(contentBytes / 48, 17 * MIB);
  return Math.ceil((contentBytes + inodes + keptBack + journal + MIB) / 4096) * 4096;
}

function journalBytes(contentBytes: number): number {
  if (contentBytes < 128 * MIB) return 4 * MIB;
  return (contentBytes < 1024 * MIB ? 16 : 32) * MIB;
}

/**
 * Makes a sparse file with an empty ext4 file system that holds `contentBytes`; leaves nothing when it fails. The path
 * must be free.
 */
export async function makeImageFile(
  path: string,
  contentBytes: number,
  { folder, ephemeral = false }: ImageFileOptions = {},
): Promise<void> {
  await using undo = new AsyncDisposableStack();
  const file = await open(path, 'wx', 0o600);
  undo.defer(() => rm(path, { force: true }));
  await file.truncate(imageFileBytes(contentBytes, { ephemeral })).finally(() => file.close());
  const journal = ephemeral ? ['-O', '^has_journal'] : ['-J', `size=${journalBytes(contentBytes) / MIB}`];
  await withSeed(folder, (seed) => run('mkfs.ext4', [...OPTIONS, ...journal, ...seed, path]));
  undo.move();
}

/** mkfs copies what is to be in it from a folder, so that nobody need mount it for that. */
async function withSeed(
  folder: string | undefined,
  work: (args: readonly string[]) => Promise<unknown>,
): Promise<void> {
  if (folder === undefined) return void (await work([]));
  const seed = await mkdtemp(join(tmpdir(), 'berth-seed-'));
  try {
    await mkdir(join(seed, folder), { mode: 0o755 });
    await work(['-d', seed]);
  } finally {
    await rm(seed, { recursive: true, force: true });
  }
}
