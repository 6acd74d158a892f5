// Unpacked layers in overlayfs form, each once, whichever images share it. Folder names are short, so that an overlay
// of more than a hundred of them fits into the one page that mount(2) gives its options.

import { mkdir, readdir, readFile, rename, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { BerthError } from '../core/index.ts';
import { flushFolder, readIfExists, writeAtomic } from '../host/files.ts';
import { Mutex } from '../host/mutex.ts';
import { hexOf } from './digest.ts';
import { diskError } from './disk.ts';
import { SharedTasks } from './shared-task.ts';
import { type Unpacked, type UnpackLimits, type UnpackOptions, unpackLayer } from './unpack.ts';
import type { WorkFolder } from './work-folder.ts';

/** A layer's file NAME.json. */
interface LayerRecord extends Omit<Unpacked, 'folders'> {
  readonly name: string;
  /** Size of the file NAME.folders; absent: the layer was unpacked by a version that told nothing of its folders. */
  readonly foldersBytes?: number;
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
    const files = new Set(await readdir(store.#records));
    for (const name of [...folders]) {
      const record = files.has(`${name}.json`) ? await readRecord(store.#records, name) : undefined;
      if (record === undefined) continue;
      store.#ready.set(record.diffId, record);
      folders.delete(name);
      files.delete(`${name}.json`);
      files.delete(`${name}.folders`);
    }
    for (const file of files) options.work.discard(join(store.#records, file));
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

  /** Whether it is known which folders the layer leaves out: an earlier version did not note them. */
  tellsFolders(diffId: string): boolean {
    return this.#get(diffId).foldersBytes !== undefined;
  }

  /** The list of the layer's folders, as berth-unpack printed it. */
  async folders(diffId: string): Promise<Buffer> {
    const { name, foldersBytes = 0 } = this.#get(diffId);
    return foldersBytes === 0 ? Buffer.of() : readFile(this.#foldersPath(name));
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

  async #commit({ folder, folders, ...unpacked }: StagedLayer): Promise<void> {
    if (this.has(unpacked.diffId)) {
      this.#work.discard(folder);
      return;
    }
    const name = this.#name(unpacked.diffId);
    const record: LayerRecord = { ...unpacked, name, foldersBytes: folders.length };
    try {
      if (folders.length > 0) await writeAtomic(this.#foldersPath(name), folders, { durable: true });
      await writeAtomic(join(this.#records, `${record.name}.json`), JSON.stringify(record), {
        durable: true,
      });
      await rename(folder, join(this.#folder, record.name));
      this.#ready.set(record.diffId, record);
    } catch (error) {
      this.#work.discard(folder);
      this.#discardRecord(record.name);
      throw diskError(error, `storing layer ${record.diffId}`);
    }
  }

  /** Puts the names of all that is ready on the disk; their content is there. */
  flush(): Promise<void> {
    return flushFolder(this.#folder);
  }

  discard({ folder }: StagedLayer): void {
    this.#work.discard(folder);
  }

  /** Forgets the layer at once; its files are deleted in the background. Returns their size. */
  remove(diffId: string): number {
    const record = this.#get(diffId);
    this.#ready.delete(diffId);
    this.#work.discard(join(this.#folder, record.name));
    this.#discardRecord(record.name);
    return record.bytes;
  }

  #discardRecord(name: string): void {
    this.#work.discard(join(this.#records, `${name}.json`));
    this.#work.discard(this.#foldersPath(name));
  }

  #foldersPath(name: string): string {
    return join(this.#records, `${name}.folders`);
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

async function readRecord(folder: string, name: string): Promise<LayerRecord | undefined> {
  try {
    const record = JSON.parse((await readIfExists(join(folder, `${name}.json`))) ?? '') as LayerRecord;
    const { foldersBytes = 0 } = record;
    const found = foldersBytes === 0 ? 0 : (await stat(join(folder, `${name}.folders`))).size;
    return record.name === name && found === foldersBytes ? record : undefined;
  } catch {
    return undefined;
  }
}
