// Files of the host as tar entries.

import { createReadStream, type Stats } from 'node:fs';
import { lstat, readdir, readlink, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { type TarInput, writeTar } from '../../formats/tar.ts';

export interface PackOptions {
  /** Name of the root entry; '.' for its contents only. */
  readonly name: string;
  /** Copy what the path links to, not the link. */
  readonly followLink: boolean;
  /** Keep numeric owners; otherwise everything belongs to root. */
  readonly keepOwners: boolean;
  /** Told the size of each file as it is packed. */
  readonly onFile?: (bytes: number) => void;
}

/** A tar of a file or a whole folder. */
export function packPath(path: string, options: PackOptions): AsyncGenerator<Buffer> {
  return writeTar(entriesOf(path, options));
}

async function* entriesOf(path: string, options: PackOptions): AsyncGenerator<TarInput> {
  const stats = options.followLink ? await stat(path) : await lstat(path);
  if (options.name !== '.' || !stats.isDirectory()) yield* entryOf(path, options.name, stats, options);
  if (stats.isDirectory()) yield* childrenOf(path, options.name, options);
}

async function* childrenOf(folder: string, name: string, options: PackOptions): AsyncGenerator<TarInput> {
  for (const child of (await readdir(folder)).sort()) {
    const path = join(folder, child);
    const stats = await lstat(path);
    const childName = name === '.' ? child : `${name}/${child}`;
    yield* entryOf(path, childName, stats, options);
    if (stats.isDirectory()) yield* childrenOf(path, childName, options);
  }
}

async function* entryOf(
  path: string,
  name: string,
  stats: Stats,
  options: PackOptions,
): AsyncGenerator<TarInput> {
  const common = {
    name,
    mode: stats.mode & 0o7777,
    mtime: Math.floor(stats.mtimeMs / 1000),
    ...(options.keepOwners ? { uid: stats.uid, gid: stats.gid } : {}),
  };
  if (stats.isDirectory()) yield { ...common, type: 'folder' };
  else if (stats.isSymbolicLink()) yield { ...common, type: 'symlink', linkName: await readlink(path) };
  else if (stats.isFIFO()) yield { ...common, type: 'fifo' };
  else if (stats.isFile()) {
    // A file that grows while it is read must not make the archive longer than announced.
    const content = stats.size === 0 ? Buffer.alloc(0) : createReadStream(path, { end: stats.size - 1 });
    yield { ...common, type: 'file', sizeBytes: stats.size, content };
    options.onFile?.(stats.size);
  }
}
