// Named and anonymous volumes as folders: ROOT/<name>/_data, with volume.json beside it.

import { randomBytes } from 'node:crypto';
import { mkdir, readdir, rename, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { BerthError, errorMessage } from '../core/index.ts';
import { readIfExists, writeAtomic } from '../host/index.ts';
import { allocatedBytes } from './disk-usage.ts';

/** A folder that outlives the workloads that mount it. */
export interface StoredVolume {
  readonly name: string;
  readonly mountpoint: string;
  readonly createdAt: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly anonymous: boolean;
}

export interface VolumeStoreOptions {
  /** Made if absent. */
  readonly root: string;
  /** Ids of the workloads that mount the volume. */
  readonly users: (name: string) => readonly string[];
  /** A new path, on the file system of `root`, to which a folder may be moved to be deleted later. */
  readonly discard: (folder: string) => Promise<void>;
  readonly log: (line: string) => void;
}

export class VolumeStore {
  readonly #options: VolumeStoreOptions;
  readonly #volumes = new Map<string, StoredVolume>();
  /** Names being made: whoever asks for one of them meanwhile gets the same volume. */
  readonly #making = new Map<string, Promise<StoredVolume>>();

  private constructor(options: VolumeStoreOptions) {
    this.#options = options;
  }

  static async open(options: VolumeStoreOptions): Promise<VolumeStore> {
    const store = new VolumeStore(options);
    await mkdir(options.root, { recursive: true, mode: 0o711 });
    for (const entry of await readdir(options.root, { withFileTypes: true })) {
      if (!entry.isDirectory()) continue;
      store.#volumes.set(entry.name, await store.#read(entry.name));
    }
    return store;
  }

  /** An existing volume of that name is returned as it is. `created` tells which of the two happened. */
  async create(options: {
    readonly name?: string;
    readonly labels?: Readonly<Record<string, string>>;
  }): Promise<{ readonly volume: StoredVolume; readonly created: boolean }> {
    const name = options.name || randomBytes(32).toString('hex');
    checkVolumeName(name);
    // No await between looking and claiming: two who ask at once must get the same volume.
    const known = this.#volumes.get(name) ?? this.#making.get(name);
    if (known !== undefined) return { volume: await known, created: false };
    const making = this.#make(name, !options.name, options.labels ?? {});
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

  /** Bytes on disk. */
  usageBytes(name: string): Promise<number> {
    return allocatedBytes(this.get(name).mountpoint);
  }

  #folder(name: string): string {
    return join(this.#options.root, name);
  }

  async #make(
    name: string,
    anonymous: boolean,
    labels: Readonly<Record<string, string>>,
  ): Promise<StoredVolume> {
    const folder = this.#folder(name);
    const createdAt = new Date().toISOString();
    const volume = { name, mountpoint: join(folder, '_data'), createdAt, labels, anonymous };
    try {
      await mkdir(volume.mountpoint, { recursive: true, mode: 0o755 });
      await writeAtomic(join(folder, 'volume.json'), JSON.stringify({ createdAt, labels, anonymous }));
    } catch (error) {
      // It did not exist before, so nothing of anyone's is in it.
      await rm(folder, { recursive: true, force: true });
      throw creationFailed(name, error);
    }
    this.#volumes.set(name, volume);
    return volume;
  }

  /** Data is never given up for the sake of a description: one that cannot be read is set aside and made anew. */
  async #read(name: string): Promise<StoredVolume> {
    const folder = this.#folder(name);
    const path = join(folder, 'volume.json');
    const mountpoint = join(folder, '_data');
    await mkdir(mountpoint, { recursive: true });
    const text = await readIfExists(path);
    try {
      if (text !== undefined) return { name, mountpoint, ...parseDescription(text) };
    } catch (error) {
      this.#options.log(
        `volume ${name}: ${path} is damaged, kept as ${path}.damaged: ${errorMessage(error)}`,
      );
      await rename(path, `${path}.damaged`);
    }
    const createdAt = (await stat(folder)).birthtime.toISOString();
    return { name, mountpoint, createdAt, labels: {}, anonymous: false };
  }
}

function creationFailed(name: string, cause: unknown): BerthError {
  const full = ['ENOSPC', 'EDQUOT'].includes((cause as NodeJS.ErrnoException).code ?? '');
  const message = `create ${name}: cannot make the volume: ${errorMessage(cause)}`;
  return new BerthError(full ? 'exhausted' : 'internal', message, { cause });
}

function parseDescription(text: string): Pick<StoredVolume, 'createdAt' | 'labels' | 'anonymous'> {
  const value: unknown = JSON.parse(text);
  if (typeof value !== 'object' || value === null) throw new RangeError('not an object');
  const { createdAt, labels, anonymous } = value as Record<string, unknown>;
  if (typeof createdAt !== 'string') throw new RangeError('createdAt is missing');
  const entries = Object.entries(typeof labels === 'object' && labels !== null ? labels : {});
  return {
    createdAt,
    labels: Object.fromEntries(entries.map(([key, value]) => [key, String(value)])),
    anonymous: anonymous === true,
  };
}

/** Fails with `invalid-argument`. */
export function checkVolumeName(name: string): void {
  if (/^[a-zA-Z0-9][a-zA-Z0-9_.-]+$/.test(name) && name.length <= 255) return;
  throw new BerthError(
    'invalid-argument',
    `create ${name}: "${name}" includes invalid characters for a local volume name, only "[a-zA-Z0-9][a-zA-Z0-9_.-]" are allowed. If you intended to pass a host directory, use absolute path`,
  );
}
