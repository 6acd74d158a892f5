// Covers: what has to lie over an image's layers so that overlayfs shows what they mean together. A layer is unpacked
// once for all images that have it, so whatever depends on the layers below it is worked out per stack of layers.
// Most stacks need none. A cover is made aside, flushed and renamed into its place: what has its name is whole.

import { createHash } from 'node:crypto';
import { mkdir, open, readdir, rename } from 'node:fs/promises';
import { join } from 'node:path';
import type { LayerStore } from './layers.ts';
import { SharedTasks } from './shared-task.ts';
import { composeCover } from './unpack.ts';
import type { WorkFolder } from './work-folder.ts';

/** Changes with the meaning of a cover, so that those of another version are made anew. */
const FORMAT = 1;
/** The mark of berth-unpack for a layer that empties the root. */
const SEALED = Buffer.from('o.\0');

export class Covers {
  readonly #folder: string;
  readonly #unpackPath: string;
  readonly #work: WorkFolder;
  readonly #layers: LayerStore;
  /** Folders of stacks, lowest first, by the stack's name. */
  readonly #stacks = new Map<string, readonly string[]>();
  readonly #names = new Set<string>();
  readonly #tasks = new SharedTasks<readonly string[], never>();

  private constructor(folder: string, unpackPath: string, work: WorkFolder, layers: LayerStore) {
    this.#folder = folder;
    this.#unpackPath = unpackPath;
    this.#work = work;
    this.#layers = layers;
  }

  static async open(root: string, unpackPath: string, work: WorkFolder, layers: LayerStore): Promise<Covers> {
    const covers = new Covers(join(root, 'covers'), unpackPath, work, layers);
    await mkdir(covers.#folder, { recursive: true, mode: 0o700 });
    for (const name of await readdir(covers.#folder)) covers.#names.add(name);
    return covers;
  }

  /** Folders of the layers (diff ids, lowest first, all ready) and of the cover over them if they need one. */
  async stack(diffIds: readonly string[]): Promise<readonly string[]> {
    const name = this.#name(diffIds);
    return this.#stacks.get(name) ?? (await this.#tasks.run(name, {}, () => this.#make(name, diffIds)));
  }

  /** Drops the covers of all other stacks. */
  retain(stacks: Iterable<readonly string[]>): void {
    if (this.#names.size === 0 && this.#stacks.size === 0) return;
    const kept = new Set([...stacks].map((diffIds) => this.#name(diffIds)));
    for (const name of this.#stacks.keys()) if (!kept.has(name)) this.#stacks.delete(name);
    for (const name of this.#names) {
      if (kept.has(name)) continue;
      this.#names.delete(name);
      this.#work.discard(join(this.#folder, name));
    }
  }

  async #make(name: string, diffIds: readonly string[]): Promise<readonly string[]> {
    const told = await Promise.all(
      diffIds.map(async (id) => ({ path: this.#layers.path(id), folders: await this.#layers.folders(id) })),
    );
    // Overlayfs takes the root from all layers, whatever one says of those below it.
    const used = told.slice(
      Math.max(
        0,
        told.findLastIndex(({ folders }) => isSealed(folders)),
      ),
    );
    const paths = used.map(({ path }) => path);
    const path = join(this.#folder, name);
    const isNeeded = used.length > 0 && used.some(({ folders }) => folders.length > 0);
    const stack = isNeeded && (await this.#compose(path, used.reverse())) ? [...paths, path] : paths;
    this.#stacks.set(name, stack);
    return stack;
  }

  /** False when the layers need no cover. */
  async #compose(path: string, layers: readonly { path: string; folders: Buffer }[]): Promise<boolean> {
    if (this.#names.has(path.slice(this.#folder.length + 1))) return true;
    const aside = this.#work.fresh('cover');
    await mkdir(aside, { mode: 0o755 });
    try {
      if ((await composeCover(this.#unpackPath, aside, layers)) === 0) return false;
      await rename(aside, path);
      const folder = await open(this.#folder, 'r');
      await folder.sync().finally(() => folder.close());
      this.#names.add(path.slice(this.#folder.length + 1));
      return true;
    } finally {
      this.#work.discard(aside);
    }
  }

  /** Short, as names of layers are. A layer that is unpacked anew by a version that tells more makes another stack. */
  #name(diffIds: readonly string[]): string {
    const hash = createHash('sha256').update(`${FORMAT}`);
    for (const id of diffIds)
      hash.update(`${id} ${this.#layers.has(id) && this.#layers.tellsFolders(id) ? 'told' : ''}\n`);
    return hash.digest('hex').slice(0, 16);
  }
}

function isSealed(folders: Buffer): boolean {
  return folders.subarray(-SEALED.length).equals(SEALED);
}
