// The images of this host: content, unpacked layers and names together. What is registered is complete.

import { mkdir } from 'node:fs/promises';
import { BerthError, type Image, type ImagesInUse } from '../core/index.ts';
import { Mutex } from '../host/mutex.ts';
import { BlobStore } from './blobs.ts';
import { Catalog, type CatalogDraft, type ImageEntry } from './catalog.ts';
import { Covers } from './covers.ts';
import { LayerStore } from './layers.ts';
import { type LeaseGroup, Leases } from './leases.ts';
import { type ImageConfig, type Manifest, parseConfig, parseManifest } from './manifest.ts';
import { noSuchImage, resolveImage } from './resolve.ts';
import { SharedTasks } from './shared-task.ts';
import type { UnpackLimits } from './unpack.ts';
import { viewImage } from './view.ts';
import { WorkFolder } from './work-folder.ts';

export interface LibraryOptions {
  readonly root: string;
  readonly unpackPath: string;
  readonly inUse: ImagesInUse;
  readonly limits: UnpackLimits;
}

/** The documents of one image. */
export interface Documents {
  readonly manifest: Manifest;
  readonly config: ImageConfig;
}

/** What a new image is to be called. */
export interface Names {
  /** domain/path:tag; a tag that another image has moves. */
  readonly tags: readonly string[];
  /** domain/path@digest. */
  readonly repoDigests: readonly string[];
}

/** What collection took away. */
export interface Collected {
  readonly reclaimedBytes: number;
  /** Diff ids. */
  readonly layers: ReadonlySet<string>;
}

export class Library {
  readonly blobs: BlobStore;
  readonly layers: LayerStore;
  readonly covers: Covers;
  readonly leases = new Leases();
  readonly work: WorkFolder;
  readonly inUse: ImagesInUse;
  /** Blobs on their way from a registry, by digest; progress is the bytes so far. */
  readonly downloads = new SharedTasks<void, number>();
  readonly #catalog: Catalog;
  readonly #documents = new Map<string, Documents>();
  readonly #views = new Map<string, Image>();
  readonly #removals = new Mutex();

  private constructor(
    parts: { blobs: BlobStore; layers: LayerStore; covers: Covers; work: WorkFolder; catalog: Catalog },
    inUse: ImagesInUse,
  ) {
    this.blobs = parts.blobs;
    this.layers = parts.layers;
    this.covers = parts.covers;
    this.work = parts.work;
    this.#catalog = parts.catalog;
    this.inUse = inUse;
  }

  static async open({ root, unpackPath, inUse, limits }: LibraryOptions): Promise<Library> {
    await mkdir(root, { recursive: true, mode: 0o700 });
    const work = await WorkFolder.open(root);
    const catalog = await Catalog.open(root);
    const blobs = await BlobStore.open(root, work);
    const layers = await LayerStore.open({ root, work, unpackPath, limits });
    const covers = await Covers.open(root, unpackPath, work, layers);
    const library = new Library({ blobs, layers, covers, work, catalog }, inUse);
    for (const id of catalog.state.images.keys()) await library.#load(id);
    // Whole blobs of a pull or load that a crash ended belong to no image.
    library.collect();
    return library;
  }

  get state() {
    return this.#catalog.state;
  }

  /** The image of this id. An image whose documents are damaged on disk is `not-found`, and can be removed. */
  image(id: string): Image {
    const cached = this.#views.get(id);
    if (cached !== undefined) return cached;
    const entry = this.state.images.get(id);
    if (entry === undefined) throw noSuchImage(id);
    const documents = this.documents(id);
    const tags = [...this.state.tags].filter(([, target]) => target === id).map(([tag]) => tag);
    const view = viewImage(id, entry, documents, tags, (digest) => this.blobs.size(digest));
    this.#views.set(id, view);
    return view;
  }

  documents(id: string): Documents {
    const documents = this.#documents.get(id);
    if (documents === undefined) throw noSuchImage(id);
    return documents;
  }

  images(): readonly Image[] {
    return [...this.state.images.keys()].filter((id) => this.#documents.has(id)).map((id) => this.image(id));
  }

  /** Reads and checks manifest and configuration from the content store. */
  async readDocuments(manifestDigest: string, what: string): Promise<Documents> {
    const manifest = parseManifest(await this.blobs.readDocument(manifestDigest), what);
    if (manifest.kind !== 'manifest')
      throw new BerthError('invalid-argument', `${what}: an index, not an image`);
    const config = parseConfig(await this.blobs.readDocument(manifest.config.digest), what);
    if (config.diffIds.length !== manifest.layers.length)
      throw new BerthError(
        'invalid-argument',
        `${what}: the manifest has ${manifest.layers.length} layers, the configuration ${config.diffIds.length}`,
      );
    return { manifest, config };
  }

  /** Makes an image of what is in the content store and unpacked; its blobs must be leased until this resolves. */
  async register(manifestDigest: string, documents: Documents, names: Names): Promise<Image> {
    const id = documents.manifest.config.digest;
    const entry: ImageEntry = {
      manifestDigest,
      repoDigests: [],
      layers: documents.config.diffIds.map((diffId, index) => ({
        diffId,
        digest: documents.manifest.layers[index]?.digest ?? '',
        bytes: this.layers.bytes(diffId),
      })),
    };
    // The catalog must not outlive a power failure that they do not.
    await Promise.all([this.blobs.flush(), this.layers.flush()]);
    await this.change((draft) => {
      // The same configuration under another manifest (other compression) is the same image: the first one stays.
      const known = this.#documents.has(id) ? draft.images.get(id) : undefined;
      const kept = known ?? entry;
      const repoDigests = [...new Set([...kept.repoDigests, ...names.repoDigests])];
      draft.images.set(id, { ...kept, repoDigests });
      for (const tag of names.tags) draft.tags.set(tag, id);
      if (known === undefined) this.#documents.set(id, documents);
    });
    return this.image(id);
  }

  /** Changes the catalog, and drops what was derived from the old one. */
  async change<T>(apply: (draft: CatalogDraft) => T): Promise<T> {
    const result = await this.#catalog.change(apply);
    this.#views.clear();
    return result;
  }

  /** One removal at a time: each looks at what is left before it decides. */
  exclusively<T>(action: () => Promise<T>): Promise<T> {
    return this.#removals.run(action);
  }

  /** Deletes blobs and layers that no image and no lease needs. One turn of the event loop: nothing comes between. */
  collect(): Collected {
    // Two sets: the blob of an uncompressed layer has the name of the unpacked layer that another image may need.
    const blobs = new Set<string>();
    const diffIds = new Set<string>();
    for (const id of this.#documents.keys()) if (!this.state.images.has(id)) this.#documents.delete(id);
    for (const [id, entry] of this.state.images) {
      blobs.add(id).add(entry.manifestDigest);
      for (const layer of entry.layers) {
        blobs.add(layer.digest);
        diffIds.add(layer.diffId);
      }
    }
    const isFree = (digest: string) => !this.leases.has(digest);
    const layers = new Set(this.layers.diffIds().filter((id) => !diffIds.has(id) && isFree(id)));
    let reclaimedBytes = 0;
    for (const digest of this.blobs.digests())
      if (!blobs.has(digest) && isFree(digest)) reclaimedBytes += this.blobs.remove(digest);
    for (const diffId of layers) reclaimedBytes += this.layers.remove(diffId);
    this.covers.retain([...this.state.images.values()].map((entry) => stackOf(entry.layers)));
    return { reclaimedBytes, layers };
  }

  /**
   * Runs an operation that adds content. What it holds in the lease is safe from collection; what it stored and did not
   * register is collected at its end, however it ends.
   */
  async adding<T>(action: (lease: LeaseGroup) => Promise<T>): Promise<T> {
    const lease = this.leases.group();
    try {
      return await action(lease);
    } finally {
      lease[Symbol.dispose]();
      this.collect();
    }
  }

  /** Takes images away with their names, except those that came into use meanwhile: they lose their names only. */
  async drop(ids: readonly string[]): Promise<Collected & { readonly dropped: ReadonlySet<string> }> {
    using lease = this.leases.group();
    const entries = ids.flatMap((id) => {
      const entry = this.state.images.get(id);
      return entry === undefined ? [] : [[id, entry] as const];
    });
    for (const [id, { manifestDigest, layers }] of entries)
      for (const digest of [id, manifestDigest, ...layers.flatMap((layer) => [layer.digest, layer.diffId])])
        lease.hold(digest);
    await this.change((draft) => {
      for (const id of ids) draft.images.delete(id);
      for (const [tag, target] of draft.tags) if (ids.includes(target)) draft.tags.delete(tag);
    });
    const users = this.inUse();
    const wanted = entries.filter(([id]) => users.has(id));
    if (wanted.length > 0)
      await this.change((draft) => {
        for (const [id, entry] of wanted) draft.images.set(id, { ...entry, repoDigests: [] });
      });
    // From here to the end nothing waits, so nothing can come into use unseen.
    lease[Symbol.dispose]();
    return { ...this.collect(), dropped: new Set(ids.filter((id) => !users.has(id))) };
  }

  /** Holds all that the image consists of. */
  hold(lease: LeaseGroup, manifestDigest: string, { manifest, config }: Documents): void {
    lease.hold(manifestDigest);
    lease.hold(manifest.config.digest);
    for (const { digest } of manifest.layers) lease.hold(digest);
    for (const diffId of config.diffIds) lease.hold(diffId);
  }

  async #load(id: string): Promise<void> {
    const entry = this.state.images.get(id);
    if (entry === undefined) return;
    try {
      this.#documents.set(id, await this.readDocuments(entry.manifestDigest, `image ${id}`));
    } catch (error) {
      if (!(error instanceof BerthError)) throw error;
    }
  }

  /** Id of the image that a user means. See resolveImage. */
  resolve(text: string): string {
    return resolveImage(this.state, text);
  }
}

/** Diff ids, lowest first, each once: overlayfs refuses a folder twice, and of a repeated layer only the uppermost shows. */
export function stackOf(layers: readonly { readonly diffId: string }[]): readonly string[] {
  const ids = layers.map(({ diffId }) => diffId);
  return ids.filter((id, index) => !ids.includes(id, index + 1));
}
