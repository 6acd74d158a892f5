// Images as the engine and the drivers see them.

import type { Readable } from 'node:stream';

/** The part of an OCI image configuration that a workload starts from. Field names are the specification's. */
export interface ImageRunConfig {
  readonly Env?: readonly string[];
  readonly Entrypoint?: readonly string[];
  readonly Cmd?: readonly string[];
  readonly WorkingDir?: string;
  readonly User?: string;
  readonly ExposedPorts?: Readonly<Record<string, object>>;
  readonly Volumes?: Readonly<Record<string, object>>;
  readonly Labels?: Readonly<Record<string, string>>;
  readonly StopSignal?: string;
  readonly Shell?: readonly string[];
  readonly Healthcheck?: Readonly<Record<string, unknown>>;
}

export interface ImageHistory {
  readonly created?: string;
  readonly created_by?: string;
  readonly author?: string;
  readonly comment?: string;
  readonly empty_layer?: boolean;
}

export interface ImageLayer {
  /** sha256 of the uncompressed tar. */
  readonly diffId: string;
  /** sha256 of the blob as stored. */
  readonly digest: string;
  readonly mediaType: string;
  /** Size of the blob as stored. */
  readonly compressedBytes: number;
  /** Sum of the sizes of the files in it. */
  readonly unpackedBytes: number;
}

/** An image of the local store. */
export interface Image {
  /** sha256 digest of the configuration: Docker's image id. */
  readonly id: string;
  readonly manifestDigest: string;
  readonly tags: readonly string[];
  /** name@sha256:… */
  readonly repoDigests: readonly string[];
  readonly os: string;
  readonly architecture: string;
  readonly variant?: string;
  readonly created: string;
  readonly author?: string;
  readonly config: ImageRunConfig;
  readonly history: readonly ImageHistory[];
  readonly layers: readonly ImageLayer[];
  /** Sum of the unpacked layers. */
  readonly sizeBytes: number;
}

/** One line of progress of a pull, load or build, in the shape of Docker's JSON messages. */
export interface Progress {
  readonly status: string;
  /** Layer's short id, or a tag. */
  readonly id?: string;
  readonly progressDetail?: { readonly current?: number; readonly total?: number };
}

export type OnProgress = (progress: Progress) => void;

export interface RegistryAuth {
  readonly username?: string;
  readonly password?: string;
  readonly identityToken?: string;
  readonly registryToken?: string;
}

export interface PullOptions {
  readonly auth?: RegistryAuth;
  /** os/arch[/variant]; absent: the host's. */
  readonly platform?: string;
  readonly onProgress?: OnProgress;
  readonly signal?: AbortSignal;
}

/** The local image store. References are as users write them: name, name:tag, name@digest, id or a prefix of it. */
export interface ImageStore {
  /** Fails with `not-found` naming the reference. */
  get(reference: string): Promise<Image>;
  list(): Promise<readonly Image[]>;
  /** Layer folders, lowest first, ready for overlayfs; they stay as long as the image is in use. */
  layers(image: Image): Promise<readonly string[]>;
  pull(reference: string, options: PullOptions): Promise<Image>;
  /** Reads a docker-archive or OCI archive, plain, gzip or zstd. Resolves to what was loaded, as shown to users (`Loaded image: x:y`). */
  load(
    archive: Readable,
    options: { readonly onProgress?: OnProgress; readonly signal?: AbortSignal },
  ): Promise<readonly string[]>;
  /** A docker-archive that is an OCI archive as well. */
  save(references: readonly string[]): Promise<Readable>;
  /** Makes a one-layer image of a root file system's tar. */
  import(tar: Readable, options: ImportOptions): Promise<Image>;
  /** Makes an image with one more layer, the tar's. */
  commit(base: Image, tar: AsyncIterable<Uint8Array>, options: CommitOptions): Promise<Image>;
  /** Makes a base image from the machine itself, without a registry. */
  createBase(options: BaseOptions): Promise<Image>;
  tag(source: string, target: string): Promise<void>;
  /** Untags, and deletes when it was the last name. Resolves to Docker's list. Fails with `conflict` when in use. */
  remove(
    reference: string,
    options: { readonly force: boolean; readonly noPrune: boolean },
  ): Promise<readonly ImageRemoval[]>;
  /** Removes images that nothing uses (dangling only, or all unused), then unreferenced blobs and layers. */
  prune(options: {
    readonly all: boolean;
  }): Promise<{ readonly removed: readonly ImageRemoval[]; readonly reclaimedBytes: number }>;
  diskUsage(): Promise<{ readonly layersBytes: number }>;
}

export interface ImageRemoval {
  readonly untagged?: string;
  readonly deleted?: string;
}

export interface ImportOptions {
  readonly reference?: string;
  readonly message?: string;
  /** Dockerfile instructions that change the configuration: CMD, ENTRYPOINT, ENV, EXPOSE, LABEL, USER, VOLUME, WORKDIR, STOPSIGNAL. */
  readonly changes: readonly string[];
  readonly platform?: string;
}

export interface CommitOptions {
  readonly reference?: string;
  readonly message?: string;
  readonly author?: string;
  /** For the history. */
  readonly createdBy: string;
  /** The new image's, before the changes. */
  readonly config: ImageRunConfig;
  /** Dockerfile instructions, as in ImportOptions. */
  readonly changes: readonly string[];
}

export interface BaseOptions {
  readonly kind: 'busybox' | 'debian';
  /** Default: the kind. */
  readonly reference?: string;
  /** Debian only: packages on top of the minimal system. */
  readonly packages: readonly string[];
  readonly onProgress?: OnProgress;
  readonly signal?: AbortSignal;
}

/** Asked before anything is deleted: which image ids do workloads use? Injected, so that the store knows no engine. */
export type ImagesInUse = () => ReadonlyMap<string, readonly string[]>;
