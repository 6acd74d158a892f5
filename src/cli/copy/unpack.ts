// A tar from a workload as files of the host. The workload may be hostile: no entry is written outside the folder, and
// none through a link; no device and no fifo is opened.

import type { Stats } from 'node:fs';
import { chmod, lchown, link, lstat, lutimes, mkdir, open, rename, rm, symlink } from 'node:fs/promises';
import { readTar, type TarItem } from '../../formats/tar.ts';
import { CliError } from '../errors.ts';
import { onDisk, partsOf, toText } from './names.ts';
import type { Landing } from './paths.ts';

export interface UnpackOptions extends Landing {
  readonly keepOwners: boolean;
  /** Makes a fifo or a device; fails where that is not permitted. */
  readonly makeNode: (path: string, item: TarItem) => Promise<void>;
}

export interface Unpacked {
  /** Bytes of file content that were written. */
  readonly bytes: number;
  /** Everything that could not be made, each in words. */
  readonly missing: readonly string[];
}

/** Unpacks; the tar's root entry gets the landing's name. The landing and the names in the archive are bytes. */
export async function unpackTar(tar: AsyncIterable<Uint8Array>, options: UnpackOptions): Promise<Unpacked> {
  const unpacker = new Unpacker(options);
  for await (const item of readTar(tar, 'latin1')) await unpacker.take(item);
  return await unpacker.finish();
}

class Unpacker {
  readonly #options: UnpackOptions;
  /** The name of the archive's root, empty where it has none ("./a", "/a"); known from the first entry. */
  #root: readonly string[] | undefined;
  /** Times of folders are set last: each file written into one changes them. */
  readonly #folders: { readonly path: string; readonly item: TarItem }[] = [];
  /** Folders that were seen to be no links. */
  readonly #seen = new Set<string>();
  readonly #missing: string[] = [];
  #bytes = 0;

  constructor(options: UnpackOptions) {
    this.#options = options;
  }

  async take(item: TarItem): Promise<void> {
    this.#root ??= partsOf(item.name);
    const inside = this.#inside(item.name);
    if (inside === undefined) return;
    const path = await this.#place(inside, item.name);
    await makeRoom(path, item);
    await this.#make(path, item);
  }

  async finish(): Promise<Unpacked> {
    for (const { path, item } of this.#folders.reverse()) {
      await chmod(onDisk(path), item.mode & 0o7777);
      await lutimes(onDisk(path), timeOf(item), timeOf(item));
    }
    return { bytes: this.#bytes, missing: this.#missing };
  }

  /** The parts of the entry's path below the folder; nothing for the root of a copy of contents only. */
  #inside(name: string): readonly string[] | undefined {
    const root = this.#root ?? [];
    const parts = partsOf(name);
    if (parts.includes('..') || name.includes('\0') || root.some((part, at) => parts[at] !== part))
      throw new CliError(`the archive is refused: the entry ${toText(name)} leaves its folder`, 1);
    const rest = parts.slice(root.length);
    const inside = this.#options.name === '.' ? rest : [this.#options.name, ...rest];
    return inside.length === 0 ? undefined : inside;
  }

  /** The entry's path on the host, folders above it made. */
  async #place(inside: readonly string[], name: string): Promise<string> {
    let parent = this.#options.folder;
    for (const part of inside.slice(0, -1)) {
      parent = `${parent}/${part}`;
      if (this.#seen.has(parent)) continue;
      const there = await lstatIfExists(parent);
      if (there?.isSymbolicLink() === true) {
        const why = `${toText(parent)} is a link, and ${toText(name)} would be written through it`;
        throw new CliError(`the archive is refused: ${why}`, 1);
      }
      if (there === undefined) await mkdir(onDisk(parent));
      this.#seen.add(parent);
    }
    return `${parent}/${inside.at(-1)}`;
  }

  async #make(path: string, item: TarItem): Promise<void> {
    switch (item.type) {
      case 'folder':
        if ((await lstatIfExists(path)) === undefined) await mkdir(onDisk(path));
        if (this.#options.keepOwners) await lchown(onDisk(path), item.uid, item.gid);
        this.#folders.push({ path, item });
        return;
      case 'file':
        await writeFile(path, item, this.#options.keepOwners);
        this.#bytes += item.sizeBytes;
        return;
      case 'link':
        await this.#link(path, item);
        return;
      case 'symlink':
        await symlink(onDisk(item.linkName), onDisk(path));
        break;
      case 'other':
        this.#missing.push(`${toText(item.name)}: an entry of a kind that is not known`);
        return;
      default: {
        const failed = await this.#options.makeNode(path, item).then(
          () => undefined,
          (error: Error) => error.message,
        );
        if (failed !== undefined) {
          this.#missing.push(`${toText(item.name)}: ${failed}`);
          return;
        }
      }
    }
    if (this.#options.keepOwners) await lchown(onDisk(path), item.uid, item.gid);
    await lutimes(onDisk(path), timeOf(item), timeOf(item));
  }

  async #link(path: string, item: TarItem): Promise<void> {
    const inside = this.#inside(item.linkName);
    if (inside === undefined)
      throw new CliError(`the archive is refused: ${toText(item.name)} links to its root`, 1);
    await link(onDisk(await this.#place(inside, item.linkName)), onDisk(path));
  }
}

const ZEROS = Buffer.alloc(64 << 10);

/** A new file; long runs of zeros become holes. */
async function writeFile(path: string, item: TarItem, keepOwner: boolean): Promise<void> {
  const file = await open(onDisk(path), 'wx', 0o600);
  try {
    let at = 0;
    for await (const chunk of item.content()) {
      const isHole = chunk.length >= 4096 && chunk.length <= ZEROS.length && isZero(chunk);
      for (let done = 0; !isHole && done < chunk.length; )
        done += (await file.write(chunk, done, chunk.length - done, at + done)).bytesWritten;
      at += chunk.length;
    }
    await file.truncate(at);
    if (keepOwner) await file.chown(item.uid, item.gid);
    await file.chmod(item.mode & 0o7777);
    await file.utimes(timeOf(item), timeOf(item));
  } finally {
    await file.close();
  }
}

const isZero = (chunk: Buffer) => chunk.equals(ZEROS.subarray(0, chunk.length));

/** The time as a date: node:fs would take a number of seconds before 1970 for now. */
const timeOf = (item: TarItem) => new Date(item.mtime * 1000);

/** Files replace files and links; folders are kept; one never replaces the other. */
async function makeRoom(path: string, item: TarItem): Promise<void> {
  const there = await lstatIfExists(path);
  if (there === undefined) return;
  if (there.isDirectory() !== (item.type === 'folder')) {
    const [old, fresh] = there.isDirectory() ? ['folder', 'file'] : ['file', 'folder'];
    throw new CliError(
      `cannot copy over ${toText(path)}: it is a ${old}, and a ${fresh} is to take its place`,
      1,
    );
  }
  if (!there.isDirectory()) await rm(onDisk(path));
}

/**
 * Makes a fifo or a device by mknod(1), as Node cannot: under a name that any program can be given, then renamed.
 * `run` runs it with its arguments.
 */
export async function makeNode(
  path: string,
  item: TarItem,
  run: (args: readonly string[]) => Promise<void>,
): Promise<void> {
  const cut = path.lastIndexOf('/');
  const folder = await open(onDisk(path.slice(0, cut) || '/'), 'r');
  const temporary = `.berth-cp-${process.pid}-${Date.now()}`;
  try {
    const mode = (item.mode & 0o7777).toString(8).padStart(4, '0');
    const kind =
      item.type === 'fifo' ? ['p'] : [item.type === 'block' ? 'b' : 'c', `${item.major}`, `${item.minor}`];
    await run([`--mode=${mode}`, `/proc/${process.pid}/fd/${folder.fd}/${temporary}`, ...kind]);
    await rename(onDisk(`${path.slice(0, cut)}/${temporary}`), onDisk(path));
  } finally {
    await folder.close();
  }
}

async function lstatIfExists(path: string): Promise<Stats | undefined> {
  return lstat(onDisk(path)).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return undefined;
    throw error;
  });
}
