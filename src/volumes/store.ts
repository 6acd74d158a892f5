// Named and anonymous volumes as folders: ROOT/<name>/_data, with volume.json beside it. The content of one with a size
// limit lies in an image file there, and _data is where that is mounted for those who use it. What begins with a dot is
// a volume half made.

import { randomBytes } from 'node:crypto';
import { access, mkdir, readdir, rename, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import { BerthError, errorMessage, isBerthError } from '../core/index.ts';
import { readIfExists, writeAtomic } from '../host/index.ts';
import { readArchive } from './backup.ts';
import { ContentDoor, type VolumePlace } from './content.ts';
import { STAGE } from './copy-up.ts';
import { allocatedBytes } from './disk-usage.ts';
import { repair, replaceContent } from './restore.ts';
import { checkVolumeSize, IMAGE_NAME, makeVolumeImage } from './sized.ts';

/** A folder that outlives the workloads that mount it. */
export interface StoredVolume extends VolumePlace {
  readonly name: string;
  readonly createdAt: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly anonymous: boolean;
  /** As asked for, for people. */
  readonly options: Readonly<Record<string, string>>;
  /** It holds no more; absent: as much as the disk. */
  readonly sizeBytes?: number;
}

/** What a new volume is to be. */
export interface VolumeWish {
  /** Absent: a long random one, and the volume is anonymous. */
  readonly name?: string;
  readonly labels?: Readonly<Record<string, string>>;
  readonly options?: Readonly<Record<string, string>>;
  readonly sizeBytes?: number;
}

export interface VolumeStoreOptions {
  /** Made if absent. */
  readonly root: string;
  /** Ids of the workloads that mount the volume. */
  readonly users: (name: string) => readonly string[];
  /** A new path, on the file system of `root`, to which a folder may be moved to be deleted later. */
  readonly discard: (folder: string) => Promise<void>;
  /** berth-shim, which mounts what has a size limit; without it there is none. */
  readonly shimPath?: string;
  /** berth-unpack, which restores; without it nothing can be. */
  readonly unpackPath?: string;
  readonly log: (line: string) => void;
}

export class VolumeStore {
  readonly #options: VolumeStoreOptions;
  /** For whoever needs the content of one. */
  readonly door: ContentDoor;
  readonly #volumes = new Map<string, StoredVolume>();
  /** Names being made: whoever asks for one of them meanwhile gets the same volume. */
  readonly #making = new Map<string, Promise<StoredVolume>>();

  /** How many backups are being read of each. */
  readonly #readers = new Map<string, number>();
  readonly #restoring = new Set<string>();

  private constructor(options: VolumeStoreOptions) {
    this.#options = options;
    this.door = new ContentDoor(options.shimPath);
  }

  static async open(options: VolumeStoreOptions): Promise<VolumeStore> {
    const store = new VolumeStore(options);
    await mkdir(options.root, { recursive: true, mode: 0o700 });
    for (const entry of await readdir(options.root, { withFileTypes: true })) {
      if (!entry.isDirectory()) continue;
      if (entry.name.startsWith('.')) await options.discard(join(options.root, entry.name));
      else {
        const volume = await store.#read(entry.name);
        store.#volumes.set(entry.name, volume);
        await repair(volume, store.door).catch((error: unknown) =>
          options.log(`volume ${volume.name}: an interrupted restore is not undone: ${errorMessage(error)}`),
        );
      }
    }
    return store;
  }

  /**
   * An existing volume of that name is returned as it is, unless another size was asked for: that is a `conflict`.
   * `created` tells which of the two happened.
   */
  async create(wish: VolumeWish): Promise<{ readonly volume: StoredVolume; readonly created: boolean }> {
    const name = wish.name || randomBytes(32).toString('hex');
    checkVolumeName(name);
    if (wish.sizeBytes !== undefined) checkVolumeSize(name, wish.sizeBytes);
    // No await between looking and claiming: two who ask at once must get the same volume.
    const known = this.#volumes.get(name) ?? this.#making.get(name);
    if (known !== undefined) return { volume: sameSize(await known, wish), created: false };
    const making = this.#make(name, wish);
    this.#making.set(name, making);
    try {
      return { volume: await making, created: true };
    } finally {
      this.#making.delete(name);
    }
  }

  find(name: string): StoredVolume | undefined {
    return this.#volumes.get(name);
  }

  get(name: string): StoredVolume {
    const volume = this.#volumes.get(name);
    if (volume === undefined) throw new BerthError('not-found', `get ${name}: no such volume`);
    return volume;
  }

  list(): readonly StoredVolume[] {
    return [...this.#volumes.values()].sort((a, b) => (a.name < b.name ? -1 : 1));
  }

  /** Resolves to whether there was one. Fails with `conflict` naming the workloads that use it, forced or not. */
  async remove(name: string, force: boolean): Promise<boolean> {
    if (force && !this.#volumes.has(name)) return false;
    const volume = this.get(name);
    this.#refuseBusy(name, 'remove');
    const users = this.#options.users(name);
    if (users.length > 0)
      throw new BerthError('conflict', `remove ${name}: volume is in use - [${users.join(', ')}]`);
    // Out of the table first: a workload that asks for the name from here on gets a new, empty volume.
    this.#volumes.delete(name);
    try {
      await this.#options.discard(this.#folder(name));
    } catch (error) {
      this.#volumes.set(name, volume);
      throw new BerthError('internal', `remove ${name}: ${errorMessage(error)}`, { cause: error });
    }
    return true;
  }

  /** A tar of all that is in it. It stays in use until the stream has ended or is destroyed. */
  backup(name: string): Readable {
    const volume = this.get(name);
    if (this.#restoring.has(name)) this.#refuseBusy(name, 'backup');
    this.#readers.set(name, (this.#readers.get(name) ?? 0) + 1);
    const stream = readArchive(volume, this.door);
    stream.once('close', () => {
      const left = (this.#readers.get(name) ?? 1) - 1;
      if (left > 0) this.#readers.set(name, left);
      else this.#readers.delete(name);
    });
    return stream;
  }

  /**
   * Replaces all that is in the volume by what is in the tar, compressed or not. When it fails, or the daemon dies,
   * the old content is there as it was.
   */
  async restore(name: string, tar: AsyncIterable<Uint8Array>, signal?: AbortSignal): Promise<void> {
    const volume = this.get(name);
    const { unpackPath } = this.#options;
    if (unpackPath === undefined)
      throw new BerthError('unsupported', 'this daemon was started without the program that unpacks');
    this.#refuseBusy(name, 'restore');
    this.#restoring.add(name);
    try {
      await replaceContent(volume, tar, { door: this.door, unpackPath, signal });
    } finally {
      this.#restoring.delete(name);
    }
  }

  #refuseBusy(name: string, what: string): void {
    const busy = this.#restoring.has(name) ? 'restored' : this.#readers.has(name) ? 'backed up' : undefined;
    if (busy === undefined) return;
    throw new BerthError(
      'conflict',
      `${what} ${name}: the volume is being ${busy}: try again when that is done`,
    );
  }

  /** Bytes on disk. */
  async usageBytes(name: string): Promise<number> {
    const { mountpoint, image } = this.get(name);
    return image === undefined ? await allocatedBytes(mountpoint) : (await stat(image)).blocks * 512;
  }

  #folder(name: string): string {
    return join(this.#options.root, name);
  }

  /** Made aside and moved into place: a volume is there whole or not at all. */
  async #make(name: string, wish: VolumeWish): Promise<StoredVolume> {
    const folder = this.#folder(`.${name}`);
    const { labels = {}, options = {}, sizeBytes } = wish;
    const createdAt = new Date().toISOString();
    const description = {
      createdAt,
      labels,
      anonymous: !wish.name,
      options,
      ...given('sizeBytes', sizeBytes),
    };
    try {
      await mkdir(folder, { recursive: true, mode: 0o700 });
      await mkdir(join(folder, '_data'), { recursive: true, mode: 0o755 });
      if (sizeBytes !== undefined) await makeVolumeImage(folder, sizeBytes, this.door);
      await writeAtomic(join(folder, 'volume.json'), JSON.stringify(description));
      await rename(folder, this.#folder(name));
    } catch (error) {
      // It did not exist before, so nothing of anyone's is in it.
      await rm(folder, { recursive: true, force: true });
      throw creationFailed(name, error);
    }
    const volume = { name, ...this.#place(name, sizeBytes !== undefined), ...description };
    this.#volumes.set(name, volume);
    return volume;
  }

  #place(name: string, sized: boolean): VolumePlace {
    const folder = this.#folder(name);
    const mountpoint = join(folder, '_data');
    return sized ? { mountpoint, image: join(folder, IMAGE_NAME) } : { mountpoint };
  }

  /** Data is never given up for the sake of a description: one that cannot be read is set aside and made anew. */
  async #read(name: string): Promise<StoredVolume> {
    const folder = this.#folder(name);
    const path = join(folder, 'volume.json');
    const sized = await access(join(folder, IMAGE_NAME)).then(
      () => true,
      () => false,
    );
    const place = this.#place(name, sized);
    await rm(join(folder, STAGE), { recursive: true, force: true });
    await mkdir(place.mountpoint, { recursive: true });
    const text = await readIfExists(path);
    try {
      if (text !== undefined) return { name, ...place, ...parseDescription(text) };
    } catch (error) {
      this.#options.log(
        `volume ${name}: ${path} is damaged, kept as ${path}.damaged: ${errorMessage(error)}`,
      );
      await rename(path, `${path}.damaged`);
    }
    const createdAt = (await stat(folder)).birthtime.toISOString();
    const sizeBytes = place.image === undefined ? undefined : (await stat(place.image)).size;
    const kept = { labels: {}, anonymous: false, options: {}, ...given('sizeBytes', sizeBytes) };
    return { name, ...place, createdAt, ...kept };
  }
}

function sameSize(volume: StoredVolume, { sizeBytes }: VolumeWish): StoredVolume {
  if (sizeBytes === undefined || sizeBytes === volume.sizeBytes) return volume;
  const has = volume.sizeBytes === undefined ? 'no size limit' : `a size limit of ${volume.sizeBytes} bytes`;
  throw new BerthError(
    'conflict',
    `create ${volume.name}: a volume of this name exists and has ${has}: remove it first, or choose another name`,
  );
}

function given<K extends string, V>(key: K, value: V | undefined): Partial<Record<K, V>> {
  return value === undefined ? {} : ({ [key]: value } as Record<K, V>);
}

function creationFailed(name: string, cause: unknown): BerthError {
  if (isBerthError(cause, 'unsupported'))
    return new BerthError('unsupported', `create ${name}: ${cause.message}`, { cause });
  const full =
    ['ENOSPC', 'EDQUOT'].includes((cause as NodeJS.ErrnoException).code ?? '') ||
    errorMessage(cause).includes('No space left on device');
  const message = `create ${name}: cannot make the volume: ${errorMessage(cause)}`;
  return new BerthError(full ? 'exhausted' : 'internal', message, { cause });
}

type Description = Omit<StoredVolume, 'name' | keyof VolumePlace>;

function parseDescription(text: string): Description {
  const value: unknown = JSON.parse(text);
  if (typeof value !== 'object' || value === null) throw new RangeError('not an object');
  const { createdAt, labels, anonymous, options, sizeBytes } = value as Record<string, unknown>;
  if (typeof createdAt !== 'string') throw new RangeError('createdAt is missing');
  return {
    createdAt,
    labels: textMap(labels),
    anonymous: anonymous === true,
    options: textMap(options),
    ...given('sizeBytes', typeof sizeBytes === 'number' ? sizeBytes : undefined),
  };
}

function textMap(value: unknown): Readonly<Record<string, string>> {
  const entries = Object.entries(typeof value === 'object' && value !== null ? value : {});
  return Object.fromEntries(entries.map(([key, item]) => [key, String(item)]));
}

/** Fails with `invalid-argument`. */
export function checkVolumeName(name: string): void {
  if (/^[a-zA-Z0-9][a-zA-Z0-9_.-]+$/.test(name) && name.length <= 255) return;
  throw new BerthError(
    'invalid-argument',
    `create ${name}: "${name}" includes invalid characters for a local volume name, only "[a-zA-Z0-9][a-zA-Z0-9_.-]" are allowed. If you intended to pass a host directory, use absolute path`,
  );
}
