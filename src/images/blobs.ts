// The content store: blobs named by their sha256 digest. What is in it is whole and true to its name.

import { createReadStream } from 'node:fs';
import { mkdir, open, readdir, readFile, rename, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { BerthError } from '../core/index.ts';
import { flushFolder } from '../host/files.ts';
import { Digester, digestOf, hexOf, isDigest } from './digest.ts';
import { diskError } from './disk.ts';
import { cancelled } from './shared-task.ts';
import type { WorkFolder } from './work-folder.ts';

const READ_BYTES = 1 << 20;
/** Manifests and configurations: what is read into memory. */
export const MAX_DOCUMENT_BYTES = 8 << 20;

export interface Ingested {
  readonly digest: string;
  readonly bytes: number;
}

export interface IngestOptions {
  /** What the content must turn out to be. */
  readonly expected?: string;
  /** How errors call it. */
  readonly what: string;
  readonly onBytes?: (total: number) => void;
  readonly signal?: AbortSignal | undefined;
  /** Gets to hold the digest before the blob can be seen, so that no collection comes between. */
  readonly lease?: { hold(digest: string): void };
}

export class BlobStore {
  readonly #folder: string;
  readonly #work: WorkFolder;
  /** Digest to size, of all that is stored. The daemon is the only writer, so memory is the truth. */
  readonly #sizes = new Map<string, number>();

  private constructor(folder: string, work: WorkFolder) {
    this.#folder = folder;
    this.#work = work;
  }

  static async open(root: string, work: WorkFolder): Promise<BlobStore> {
    const store = new BlobStore(join(root, 'blobs', 'sha256'), work);
    await mkdir(store.#folder, { recursive: true, mode: 0o700 });
    for (const name of await readdir(store.#folder)) {
      if (!isDigest(`sha256:${name}`)) work.discard(join(store.#folder, name));
      else store.#sizes.set(`sha256:${name}`, (await stat(join(store.#folder, name))).size);
    }
    return store;
  }

  has(digest: string): boolean {
    return this.#sizes.has(digest);
  }

  /** Bytes of a stored blob. */
  size(digest: string): number {
    const size = this.#sizes.get(digest);
    if (size === undefined) throw missing(digest);
    return size;
  }

  digests(): readonly string[] {
    return [...this.#sizes.keys()];
  }

  /** Streams a blob. */
  read(digest: string): AsyncIterable<Buffer> {
    this.size(digest);
    return createReadStream(this.#path(digest), { highWaterMark: READ_BYTES });
  }

  /** A small blob as a whole; checked against its digest, since a damaged disk must not pass for an image. */
  async readDocument(digest: string): Promise<Buffer> {
    if (this.size(digest) > MAX_DOCUMENT_BYTES)
      throw new BerthError('invalid-argument', `${digest} is too large for a manifest or configuration`);
    const data = await readFile(this.#path(digest));
    if (digestOf(data) !== digest)
      throw new BerthError(
        'internal',
        `blob ${digest} is damaged on disk: remove the image and get it again`,
      );
    return data;
  }

  async writeDocument(data: string | Uint8Array, lease: { hold(digest: string): void }): Promise<Ingested> {
    return this.ingest(once(Buffer.from(data)), { what: 'image document', lease });
  }

  /** The first bytes of a blob. */
  async readStart(digest: string, count: number): Promise<Buffer> {
    this.size(digest);
    const file = await open(this.#path(digest), 'r');
    try {
      const { buffer, bytesRead } = await file.read(Buffer.alloc(count), 0, count, 0);
      return buffer.subarray(0, bytesRead);
    } finally {
      await file.close();
    }
  }

  /** Stores a stream under its digest; fails without a trace when it is not what was expected, or the disk is full. */
  async ingest(source: AsyncIterable<Uint8Array>, options: IngestOptions): Promise<Ingested> {
    const temporary = this.#work.fresh('blob');
    try {
      const ingested = await this.#write(temporary, source, options);
      if (options.expected !== undefined && options.expected !== ingested.digest)
        throw new BerthError(
          'invalid-argument',
          `${options.what}: wrong digest: expected ${options.expected}, got ${ingested.digest}`,
        );
      options.lease?.hold(ingested.digest);
      await this.#adopt(temporary, ingested);
      return ingested;
    } catch (error) {
      await rm(temporary, { force: true });
      throw diskError(error, `storing ${options.what}`);
    }
  }

  async #adopt(path: string, { digest, bytes }: Ingested): Promise<void> {
    await rename(path, this.#path(digest));
    this.#sizes.set(digest, bytes);
  }

  /** Puts the names of all that was stored on the disk; their content is there. */
  flush(): Promise<void> {
    return flushFolder(this.#folder);
  }

  /** Forgets the blob at once; its bytes are freed in the background. */
  remove(digest: string): number {
    const bytes = this.size(digest);
    this.#sizes.delete(digest);
    this.#work.discard(this.#path(digest));
    return bytes;
  }

  async #write(
    path: string,
    source: AsyncIterable<Uint8Array>,
    { onBytes, signal }: IngestOptions,
  ): Promise<Ingested> {
    const digester = new Digester();
    const file = await open(path, 'wx', 0o600);
    try {
      for await (const chunk of source) {
        if (signal?.aborted) throw cancelled();
        digester.update(chunk);
        await writeAll(file, chunk);
        onBytes?.(digester.bytes);
      }
      // The name promises the content, also after a power failure.
      await file.datasync();
    } finally {
      await file.close();
    }
    return { bytes: digester.bytes, digest: digester.digest() };
  }

  #path(digest: string): string {
    return join(this.#folder, hexOf(digest));
  }
}

function missing(digest: string): BerthError {
  return new BerthError('not-found', `blob ${digest} is not in the store`);
}

async function* once(data: Buffer): AsyncGenerator<Buffer> {
  yield data;
}

async function writeAll(
  file: { write(data: Uint8Array): Promise<{ bytesWritten: number }> },
  chunk: Uint8Array,
): Promise<void> {
  for (let rest = chunk; rest.length > 0; ) rest = rest.subarray((await file.write(rest)).bytesWritten);
}
