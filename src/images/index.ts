// The local image store: content, unpacked layers and names under one folder, and the ways in and out of it
// (registry, archives, root file systems, the machine itself). Never knows what runs from an image: that is asked
// through `inUse` before anything is deleted. Invariant: what is in its place is whole and true to its digest; every
// write is made aside and renamed, so a crash leaves nothing but rubbish in the work folder, removed at the next open.

import type { Readable } from 'node:stream';
import type { CommitOptions, Image, ImageStore, ImagesInUse, PullOptions } from '../core/index.ts';
import { DEFAULT_LIMITS } from '../formats/compression.ts';
import { unpackLayers } from './admit.ts';
import { loadImages } from './archive/load.ts';
import { saveImages } from './archive/save.ts';
import { createBaseImage } from './base/base.ts';
import { commitImage } from './commit.ts';
import { importImage, taggedName } from './import.ts';
import { Library, stackOf } from './library.ts';
import { pullImage } from './registry/pull.ts';
import { pruneImages, removeImage } from './removal.ts';
import type { UnpackLimits } from './unpack.ts';

export interface ImageStoreOptions {
  /** The store's own folder. */
  readonly root: string;
  /** The program berth-unpack. */
  readonly unpackPath: string;
  readonly inUse: ImagesInUse;
  /** Folders with <host:port>/ca.crt per registry, besides the system's certificates. Default: <root>/../certs.d and /etc/docker/certs.d. */
  readonly certsFolders?: readonly string[];
  /** What one layer may unpack to. */
  readonly limits?: Partial<UnpackLimits>;
}

const LIMITS: UnpackLimits = { ...DEFAULT_LIMITS, maxEntries: 4_000_000 };

/** Opens the store, cleaning up what a crash left. One process at a time: the daemon's lock sees to that. */
export async function openImageStore(options: ImageStoreOptions): Promise<ImageStore> {
  const { root, unpackPath, inUse } = options;
  const certsFolders = options.certsFolders ?? [`${root}/../certs.d`, '/etc/docker/certs.d'];
  const library = await Library.open({ root, unpackPath, inUse, limits: { ...LIMITS, ...options.limits } });
  return new LocalImageStore(library, certsFolders);
}

class LocalImageStore implements ImageStore {
  readonly #library: Library;
  readonly #certsFolders: readonly string[];
  /** Layer folders by image: asking again costs nothing. Emptied when a layer may have gone. */
  readonly #paths = new WeakMap<Image, readonly string[]>();

  constructor(library: Library, certsFolders: readonly string[]) {
    this.#library = library;
    this.#certsFolders = certsFolders;
  }

  async get(reference: string): Promise<Image> {
    return this.#library.image(this.#library.resolve(reference));
  }

  async list(): Promise<readonly Image[]> {
    return this.#library.images();
  }

  async layers(image: Image): Promise<readonly string[]> {
    const { layers, covers } = this.#library;
    const isReady = image.layers.every(({ diffId }) => layers.has(diffId));
    const known = this.#paths.get(image);
    if (isReady && known !== undefined) return known;
    if (!isReady) await unpackLayers(this.#library, this.#library.documents(image.id), {});
    const paths = await covers.stack(stackOf(image.layers));
    this.#paths.set(image, paths);
    return paths;
  }

  pull(reference: string, options: PullOptions): Promise<Image> {
    return pullImage(this.#library, reference, { ...options, certsFolders: this.#certsFolders });
  }

  load(archive: Readable, options: Parameters<ImageStore['load']>[1]): Promise<readonly string[]> {
    return loadImages(this.#library, archive, options);
  }

  save(references: readonly string[]): Promise<Readable> {
    return saveImages(this.#library, references);
  }

  import(tar: Readable, options: Parameters<ImageStore['import']>[1]): Promise<Image> {
    return importImage(this.#library, tar, options);
  }

  commit(base: Image, tar: AsyncIterable<Uint8Array>, options: CommitOptions): Promise<Image> {
    return commitImage(this.#library, base, tar, options);
  }

  createBase(options: Parameters<ImageStore['createBase']>[0]): Promise<Image> {
    return createBaseImage(this.#library, options);
  }

  async tag(source: string, target: string): Promise<void> {
    const name = taggedName(target);
    const id = this.#library.resolve(source);
    await this.#library.change((draft) => {
      if (!draft.images.has(id)) this.#library.resolve(source);
      draft.tags.set(name, id);
    });
  }

  remove(reference: string, { force }: Parameters<ImageStore['remove']>[1]) {
    return this.#library.exclusively(() => removeImage(this.#library, reference, force));
  }

  prune({ all }: Parameters<ImageStore['prune']>[0]) {
    return this.#library.exclusively(() => pruneImages(this.#library, all));
  }

  async diskUsage(): Promise<{ readonly layersBytes: number }> {
    const { layers } = this.#library;
    return { layersBytes: layers.diffIds().reduce((sum, diffId) => sum + layers.bytes(diffId), 0) };
  }
}
