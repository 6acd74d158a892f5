// A tar from a workload as files of the host. The workload may be hostile: no entry is written outside the folder, and
// none through a link.

import { createWriteStream, type Stats } from 'node:fs';
import { chmod, lchown, link, lstat, mkdir, rm, symlink, utimes } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { readTar, type TarItem } from '../../formats/tar.ts';
import { CliError } from '../errors.ts';
import type { Landing } from './paths.ts';

export interface UnpackOptions extends Landing {
  readonly keepOwners: boolean;
}

/** Unpacks; the tar's root entry gets the landing's name. Resolves to the bytes of content written. */
export async function unpackTar(tar: AsyncIterable<Uint8Array>, options: UnpackOptions): Promise<number> {
  let bytes = 0;
  // Times of folders are set last: each file written into one changes them.
  const folders: { path: string; item: TarItem }[] = [];
  for await (const item of readTar(tar)) {
    const path = await targetOf(item.name, options);
    if (path === undefined) continue;
    await writeItem(path, item, options);
    if (item.type === 'file') bytes += item.sizeBytes;
    if (item.type === 'folder') folders.push({ path, item });
  }
  for (const { path, item } of folders.reverse()) {
    await chmod(path, item.mode & 0o7777);
    await utimes(path, item.mtime, item.mtime);
  }
  return bytes;
}

/** The host path of an entry; nothing for the root of a copy of contents only. */
async function targetOf(name: string, options: UnpackOptions): Promise<string | undefined> {
  const parts = name.split('/').filter((part) => part !== '' && part !== '.');
  if (parts.includes('..'))
    throw new CliError(`the archive is refused: the entry ${name} leaves its folder`, 1);
  const inside = parts.slice(1);
  const relative = options.name === '.' ? inside : [options.name, ...inside];
  if (relative.length === 0) return undefined;
  let parent = options.folder;
  for (const part of relative.slice(0, -1)) {
    parent = join(parent, part);
    if ((await lstatIfExists(parent))?.isSymbolicLink()) {
      throw new CliError(
        `the archive is refused: ${parent} is a link, and ${name} would be written through it`,
        1,
      );
    }
  }
  return join(options.folder, ...relative);
}

async function writeItem(path: string, item: TarItem, options: UnpackOptions): Promise<void> {
  await makeRoom(path, item);
  await mkdir(dirname(path), { recursive: true });
  switch (item.type) {
    case 'folder':
      await mkdir(path, { recursive: true });
      break;
    case 'file':
      await pipeline(item.content(), createWriteStream(path, { flags: 'wx', mode: 0o600 }));
      break;
    case 'symlink':
      await symlink(item.linkName, path);
      break;
    case 'link': {
      const target = await targetOf(item.linkName, options);
      if (target === undefined)
        throw new CliError(`the archive is refused: ${item.name} links to its root`, 1);
      await link(target, path);
      return;
    }
    default:
      throw new CliError(`cannot copy ${item.name}: it is a ${item.type}, not a file, folder or link`, 1);
  }
  if (options.keepOwners) await lchown(path, item.uid, item.gid);
  if (item.type !== 'file') return;
  await chmod(path, item.mode & 0o7777);
  await utimes(path, item.mtime, item.mtime);
}

/** Files replace files and links; folders are kept; one never replaces the other. */
async function makeRoom(path: string, item: TarItem): Promise<void> {
  const there: Stats | undefined = await lstatIfExists(path);
  if (there === undefined) return;
  if (there.isDirectory() !== (item.type === 'folder')) {
    const [old, fresh] = there.isDirectory() ? ['folder', 'file'] : ['file', 'folder'];
    throw new CliError(`cannot copy over ${path}: it is a ${old}, and a ${fresh} is to take its place`, 1);
  }
  if (!there.isDirectory()) await rm(path);
}

async function lstatIfExists(path: string): Promise<Stats | undefined> {
  return lstat(path).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return undefined;
    throw error;
  });
}
