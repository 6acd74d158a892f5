// Which images there are and what they are called: one small file, replaced as a whole at each change.

import { readdir, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { BerthError } from '../core/index.ts';
import { readIfExists, writeAtomic } from '../host/files.ts';
import { Mutex } from '../host/mutex.ts';
import { diskError } from './disk.ts';

const RESERVE_BYTES = 256 * 1024;

export interface LayerEntry {
  readonly diffId: string;
  /** The blob. */
  readonly digest: string;
  /** Content when unpacked. */
  readonly bytes: number;
}

export interface ImageEntry {
  readonly manifestDigest: string;
  /** domain/path@sha256:… */
  readonly repoDigests: readonly string[];
  /** Lowest first. */
  readonly layers: readonly LayerEntry[];
}

/** Never changed in place: a reader's snapshot stays as it is. */
export interface CatalogState {
  /** By image id. */
  readonly images: ReadonlyMap<string, ImageEntry>;
  /** domain/path:tag to image id; every id is in `images`. */
  readonly tags: ReadonlyMap<string, string>;
}

export interface CatalogDraft {
  readonly images: Map<string, ImageEntry>;
  readonly tags: Map<string, string>;
}

interface CatalogFile {
  readonly version: 1;
  readonly images: Readonly<Record<string, ImageEntry>>;
  readonly tags: Readonly<Record<string, string>>;
}

export class Catalog {
  readonly #path: string;
  readonly #reserve: string;
  #reserveGone = false;
  readonly #mutex = new Mutex();
  #state: CatalogState;

  private constructor(path: string, state: CatalogState) {
    this.#path = path;
    this.#reserve = `${path}.reserve`;
    this.#state = state;
  }

  static async open(root: string): Promise<Catalog> {
    const path = join(root, 'index.json');
    for (const name of await readdir(root)) if (name.endsWith('.tmp')) await rm(join(root, name));
    const catalog = new Catalog(path, parseState(await readIfExists(path), path));
    await catalog.#keepReserve();
    return catalog;
  }

  get state(): CatalogState {
    return this.#state;
  }

  /** Applies the change and makes it durable before anyone sees it; a change that throws leaves everything as it was. */
  change<T>(apply: (draft: CatalogDraft) => T): Promise<T> {
    return this.#mutex.run(async () => {
      const draft = { images: new Map(this.#state.images), tags: new Map(this.#state.tags) };
      const result = apply(draft);
      const file: CatalogFile = {
        version: 1,
        images: Object.fromEntries(draft.images),
        tags: Object.fromEntries(draft.tags),
      };
      try {
        await this.#write(JSON.stringify(file));
      } catch (error) {
        throw diskError(error, 'recording the images');
      }
      this.#state = draft;
      return result;
    });
  }

  /** On a full disk the reserve makes room: what frees space must be able to record that it did. */
  async #write(text: string): Promise<void> {
    try {
      await writeAtomic(this.#path, text, { durable: true });
    } catch (error) {
      if (!(error instanceof Error && 'code' in error && error.code === 'ENOSPC')) throw error;
      this.#reserveGone = true;
      await rm(this.#reserve, { force: true });
      await writeAtomic(this.#path, text, { durable: true });
      return;
    }
    if (this.#reserveGone) await this.#keepReserve();
  }

  async #keepReserve(): Promise<void> {
    const found = await stat(this.#reserve).catch(() => undefined);
    if (found?.size !== RESERVE_BYTES)
      // Without room for it we do without it, until there is.
      this.#reserveGone = !(await writeFile(this.#reserve, Buffer.alloc(RESERVE_BYTES)).then(
        () => true,
        () => false,
      ));
  }
}

function parseState(text: string | undefined, path: string): CatalogState {
  if (text === undefined) return { images: new Map(), tags: new Map() };
  try {
    const file = JSON.parse(text) as CatalogFile;
    if (file.version !== 1) throw new Error(`version ${file.version} is not known`);
    return { images: new Map(Object.entries(file.images)), tags: new Map(Object.entries(file.tags)) };
  } catch (error) {
    throw new BerthError('internal', `${path} cannot be read: move it away to begin with no images`, {
      cause: error,
    });
  }
}
