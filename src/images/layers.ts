// Unpacked layers in overlayfs form, each once, whichever images share it. Folder names are short, so that an overlay
// of more than a hundred of them fits into the one page that mount(2) gives its options.

import { mkdir, readdir, rename } from 'node:fs/promises';
import { join } from 'node:path';
import { BerthError } from '../core/index.ts';
import { readIfExists, writeAtomic } from '../host/files.ts';
import { Mutex } from '../host/mutex.ts';
import { hexOf } from './digest.ts';
import { diskError } from './disk.ts';
import { SharedTasks } from './shared-task.ts';
import { type Unpacked, type UnpackLimits, type UnpackOptions, unpackLayer } from './unpack.ts';
import type { WorkFolder } from './work-folder.ts';

interface LayerRecord extends Unpacked {
  readonly name: string;
}

export interface LayerStoreOptions {
  readonly root: string;
  readonly work: WorkFolder;
  readonly unpackPath: string;
  readonly limits: UnpackLimits;
}

/** An unpacked layer that is not yet in its place. */
export interface StagedLayer extends Unpacked {
  readonly folder: string;
}

export class LayerStore {
  readonly #folder: string;
  readonly #records: string;
  readonly #work: WorkFolder;
  readonly #unpack: Omit<UnpackOptions, 'signal'>;
  /** By diff id: all that are ready. The daemon is the only writer, so memory is the truth. */
  readonly #ready = new Map<string, LayerRecord>();
  /** One commit at a time: two of the same layer must not meet in one folder. */
  readonly #commits = new Mutex();
  readonly #tasks = new SharedTasks<void, never>();

  private constructor({ root, work, unpackPath, limits }: LayerStoreOptions) {
    this.#folder = join(root, 'layers');
    this.#records = join(root, 'layer-records');
    this.#work = work;
    this.#unpack = { unpackPath, limits };
  }

  /** A layer is a record and a folder of the same name; half of one is what a crash left, and goes. */
  static async open(options: LayerStoreOptions): Promise<LayerStore> {
    const store = new LayerStore(options);
    await mkdir(store.#folder, { recursive: true, mode: 0o700 });
    await mkdir(store.#records, { recursive: true, mode: 0o700 });
    const folders = new Set(await readdir(store.#folder));
    for (const file of await readdir(store.#records)) {
      const name = file.replace(/\.json$/, '');
      const record = folders.has(name) ? await readRecord(join(store.#records, file), name) : undefined;
      if (record === undefined) options.work.discard(join(store.#records, file));
      else {
        store.#ready.set(record.diffId, record);
        folders.delete(name);
      }
    }
    for (const name of folders) options.work.discard(join(store.#folder, name));
    return store;
  }

  has(diffId: string): boolean {
    return this.#ready.has(diffId);
  }

  /** Folder of a layer that is ready. */
  path(diffId: string): string {
    return join(this.#folder, this.#get(diffId).name);
  }

  bytes(diffId: string): number {
    return this.#get(diffId).bytes;
  }

  diffIds(): readonly string[] {
    return [...this.#ready.keys()];
  }

  /** Makes the layer ready from its blob; several callers share the work. Fails when the content is not `diffId`. */
  async add(diffId: string, open: () => AsyncIterable<Uint8Array>, signal?: AbortSignal): Promise<void> {
    if (this.has(diffId)) return;
    await this.#tasks.run(diffId, { signal }, async (_emit, taskSignal) => {
      if (this.has(diffId)) return;
      const staged = await this.stage(open(), `layer ${diffId}`, taskSignal);
      if (staged.diffId !== diffId) {
        this.discard(staged);
        throw new BerthError(
          'invalid-argument',
          `layer ${diffId}: wrong digest: its uncompressed content has ${staged.diffId}`,
        );
      }
      await this.commit(staged);
    });
  }

  /** Unpacks a layer aside; `commit` puts it into its place, `discard` drops it. */
  async stage(
    source: AsyncIterable<Uint8Array>,
    what: string,
    signal: AbortSignal | undefined,
  ): Promise<StagedLayer> {
    const folder = this.#work.fresh('layer');
    try {
      await mkdir(folder, { mode: 0o755 });
      const unpacked = await unpackLayer(source, folder, what, { ...this.#unpack, signal });
      return { ...unpacked, folder };
    } catch (error) {
      this.#work.discard(folder);
      throw diskError(error, `unpacking ${what}`);
    }
  }

  commit(staged: StagedLayer): Promise<void> {
    return this.#commits.run(() => this.#commit(staged));
  }

  async #commit({ folder, ...unpacked }: StagedLayer): Promise<void> {
    if (this.has(unpacked.diffId)) {
      this.#work.discard(folder);
      return;
    }
    const record: LayerRecord = { ...unpacked, name: this.#name(unpacked.diffId) };
    try {
      await writeAtomic(join(this.#records, `${record.name}.json`), JSON.stringify(record), {
        durable: true,
      });
      await rename(folder, join(this.#folder, record.name));
      this.#ready.set(record.diffId, record);
    } catch (error) {
      this.#work.discard(folder);
      this.#work.discard(join(this.#records, `${record.name}.json`));
      throw diskError(error, `storing layer ${record.diffId}`);
    }
  }

  discard({ folder }: StagedLayer): void {
    this.#work.discard(folder);
  }

  /** Forgets the layer at once; its files are deleted in the background. Returns their size. */
  remove(diffId: string): number {
    const record = this.#get(diffId);
    this.#ready.delete(diffId);
    this.#work.discard(join(this.#folder, record.name));
    this.#work.discard(join(this.#records, `${record.name}.json`));
    return record.bytes;
  }

  #get(diffId: string): LayerRecord {
    const record = this.#ready.get(diffId);
    if (record === undefined) throw new BerthError('not-found', `layer ${diffId} is not unpacked`);
    return record;
  }

  /** A few characters of the digest, and others of it when another layer has the same. */
  #name(diffId: string): string {
    const taken = new Set([...this.#ready.values()].map(({ name }) => name));
    for (let start = 0; start <= 56; start += 1) {
      const name = Number.parseInt(hexOf(diffId).slice(start, start + 8), 16).toString(36);
      if (!taken.has(name)) return name;
    }
    throw new BerthError('internal', `no free folder name for layer ${diffId}`);
  }
}

async function readRecord(path: string, name: string): Promise<LayerRecord | undefined> {
  try {
    const record = JSON.parse((await readIfExists(path)) ?? '') as LayerRecord;
    return record.name === name ? record : undefined;
  } catch {
    return undefined;
  }
}
