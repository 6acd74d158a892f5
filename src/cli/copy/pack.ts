// Files of the host as tar entries.

import { type BigIntStats, constants } from 'node:fs';
import { type FileHandle, lstat, open, readdir, readlink, stat } from 'node:fs/promises';
import { type TarInput, writeTar } from '../../formats/tar.ts';
import { CliError } from '../errors.ts';
import { onDisk, toText } from './names.ts';

export interface PackOptions {
  /** Name of the root entry; '.' for its contents only. */
  readonly name: string;
  /** Copy what the path links to, not the link. */
  readonly followLink: boolean;
  /** Keep numeric owners; otherwise everything belongs to root. */
  readonly keepOwners: boolean;
  /** Told the size of each file as it is packed. */
  readonly onFile?: (bytes: number) => void;
  /** Told of sockets, which no archive can hold. */
  readonly onSocket?: (path: string) => void;
}

type Common = Pick<TarInput, 'name' | 'mode' | 'mtime' | 'uid' | 'gid'>;

/** A tar of a file or a whole folder; `path` and the names in the archive are bytes. */
export function packPath(path: string, options: PackOptions): AsyncGenerator<Buffer> {
  return writeTar(new Packer(options).entries(path), 'latin1');
}

class Packer {
  readonly #options: PackOptions;
  /** The first name of each file with several, by device and inode. */
  readonly #linked = new Map<string, string>();

  constructor(options: PackOptions) {
    this.#options = options;
  }

  async *entries(path: string): AsyncGenerator<TarInput> {
    const { followLink, name } = this.#options;
    const stats = await (followLink ? stat : lstat)(onDisk(path), { bigint: true });
    if (name !== '.' || !stats.isDirectory()) yield* this.#entry(path, name, stats);
    if (stats.isDirectory()) yield* this.#children(path, name);
  }

  async *#children(folder: string, name: string): AsyncGenerator<TarInput> {
    const children = (await readdir(onDisk(folder), { encoding: 'buffer' })).map((child) =>
      child.toString('latin1'),
    );
    for (const child of children.sort()) {
      const path = `${folder}/${child}`;
      const stats = await lstat(onDisk(path), { bigint: true });
      const childName = name === '.' ? child : `${name}/${child}`;
      yield* this.#entry(path, childName, stats);
      if (stats.isDirectory()) yield* this.#children(path, childName);
    }
  }

  async *#entry(path: string, name: string, stats: BigIntStats): AsyncGenerator<TarInput> {
    const owner = this.#options.keepOwners ? { uid: Number(stats.uid), gid: Number(stats.gid) } : {};
    const mode = Number(stats.mode & 0o7777n);
    const common: Common = { name, mode, mtime: secondsOf(stats.mtimeNs), ...owner };
    if (stats.isDirectory()) yield { ...common, type: 'folder' };
    else if (stats.isSocket()) this.#options.onSocket?.(path);
    else yield* this.#object(path, common, stats);
  }

  async *#object(path: string, common: Common, stats: BigIntStats): AsyncGenerator<TarInput> {
    const key = `${stats.dev} ${stats.ino}`;
    const first = stats.nlink > 1n ? this.#linked.get(key) : undefined;
    if (first !== undefined) {
      yield { ...common, type: 'link', linkName: first };
      return;
    }
    if (stats.nlink > 1n) this.#linked.set(key, common.name);
    if (stats.isSymbolicLink()) {
      const linkName = (await readlink(onDisk(path), { encoding: 'buffer' })).toString('latin1');
      yield { ...common, type: 'symlink', linkName };
    } else if (stats.isFile()) yield* this.#file(path, common);
    else if (stats.isFIFO()) yield { ...common, type: 'fifo' };
    else
      yield {
        ...common,
        type: stats.isBlockDevice() ? 'block' : 'char',
        device: deviceNumbers(stats.rdev),
      };
  }

  async *#file(path: string, common: Common): AsyncGenerator<TarInput> {
    // A fifo that has taken the file's place meanwhile must not hold us up.
    const file = await open(onDisk(path), constants.O_RDONLY | constants.O_NONBLOCK);
    try {
      const stats = await file.stat();
      if (!stats.isFile()) throw new CliError(`cannot copy ${toText(path)}: it changed meanwhile`, 1);
      yield { ...common, type: 'file', sizeBytes: stats.size, content: contentOf(file, path, stats.size) };
      this.#options.onFile?.(stats.size);
    } finally {
      await file.close();
    }
  }
}

const CHUNK_BYTES = 256 << 10;

/** Exactly as many bytes as were announced: a file that grows is cut there, one that shrinks is an error. */
async function* contentOf(file: FileHandle, path: string, size: number): AsyncGenerator<Buffer> {
  for (let at = 0; at < size; ) {
    const chunk = Buffer.allocUnsafe(Math.min(CHUNK_BYTES, size - at));
    const { bytesRead } = await file.read(chunk, 0, chunk.length, at);
    if (bytesRead === 0)
      throw new CliError(`cannot copy ${toText(path)}: it became shorter while it was read`, 1);
    at += bytesRead;
    yield chunk.subarray(0, bytesRead);
  }
}

/** Rounded down, before 1970 too. */
function secondsOf(nanoseconds: bigint): number {
  const rest = nanoseconds % 1_000_000_000n;
  return Number((nanoseconds - rest) / 1_000_000_000n) - (rest < 0n ? 1 : 0);
}

/** Linux's makedev, backwards. */
function deviceNumbers(rdev: bigint): readonly [major: number, minor: number] {
  const major = ((rdev >> 8n) & 0xfffn) | ((rdev >> 32n) & 0xfffff000n);
  const minor = (rdev & 0xffn) | ((rdev >> 12n) & 0xffffff00n);
  return [Number(major), Number(minor)];
}
