// An image archive as it is read: every file of it goes into the content store under its digest, so that nothing is
// held in memory and everything is checked; what turns out not to belong to an image is collected afterwards.

import { posix } from 'node:path';
import { BerthError } from '../../core/index.ts';
import { DEFAULT_LIMITS, decompress } from '../../formats/compression.ts';
import { readTar, type TarItem } from '../../formats/tar.ts';
import type { LeaseGroup } from '../leases.ts';
import type { Library } from '../library.ts';

const BLOB_NAME = /^blobs\/sha256\/([0-9a-f]{64})$/;
const OLD_CONFIG_NAME = /^([0-9a-f]{64})\.json$/;
const MAX_FILES = 100_000;
const MAX_LINKS = 16;
/** Layers inside are compressed again by themselves; zeros between them may compress well. */
const OUTER_LIMITS = { ...DEFAULT_LIMITS, maxBytes: 256 * 2 ** 30 };

export class ImageArchive {
  readonly #digests: ReadonlyMap<string, string>;
  readonly #links: ReadonlyMap<string, string>;

  constructor(digests: ReadonlyMap<string, string>, links: ReadonlyMap<string, string>) {
    this.#digests = digests;
    this.#links = links;
  }

  has(name: string): boolean {
    return this.#resolve(name) !== undefined;
  }

  /** Digest of the file of this name. Fails with `invalid-argument` saying who needs it. */
  digest(name: string, neededBy: string): string {
    const digest = this.#resolve(name);
    if (digest === undefined)
      throw new BerthError(
        'invalid-argument',
        `the archive is incomplete: ${neededBy} needs ${name}, which is missing`,
      );
    return digest;
  }

  #resolve(name: string): string | undefined {
    let at = posix.normalize(name);
    for (let hops = 0; hops < MAX_LINKS; hops++) {
      const target = this.#links.get(at);
      if (target === undefined) return this.#digests.get(at);
      at = target;
    }
    return undefined;
  }
}

/** Reads the whole archive; `lease` holds what it stores. */
export async function readArchive(
  library: Library,
  source: AsyncIterable<Uint8Array>,
  lease: LeaseGroup,
  signal: AbortSignal | undefined,
): Promise<ImageArchive> {
  const digests = new Map<string, string>();
  const links = new Map<string, string>();
  try {
    for await (const item of readTar(decompress(source, OUTER_LIMITS))) {
      const name = entryName(item.name);
      if (digests.size + links.size >= MAX_FILES)
        throw new BerthError('invalid-argument', `more than ${MAX_FILES} files`);
      if (item.type === 'file') digests.set(name, await store(library, item, name, lease, signal));
      else if (item.type === 'symlink')
        links.set(name, entryName(posix.join(posix.dirname(name), item.linkName)));
      else if (item.type === 'link') links.set(name, entryName(item.linkName));
    }
  } catch (error) {
    if (!(error instanceof BerthError) || error.code !== 'invalid-argument') throw error;
    throw new BerthError(error.code, `cannot load the image archive: ${error.message}`, { cause: error });
  }
  return new ImageArchive(digests, links);
}

function entryName(name: string): string {
  const clean = posix.normalize(name).replace(/^\/+/, '');
  if (clean === '..' || clean.startsWith('../'))
    throw new BerthError('invalid-argument', `entry ${JSON.stringify(name)} leads out of the archive`);
  return clean;
}

async function store(
  library: Library,
  item: TarItem,
  name: string,
  lease: LeaseGroup,
  signal: AbortSignal | undefined,
): Promise<string> {
  const hex = BLOB_NAME.exec(name)?.[1] ?? OLD_CONFIG_NAME.exec(name)?.[1];
  const expected = hex === undefined ? undefined : `sha256:${hex}`;
  if (expected !== undefined) {
    lease.hold(expected);
    // The reader skips what is not read.
    if (library.blobs.has(expected)) return expected;
  }
  const { digest } = await library.blobs.ingest(item.content(), {
    what: name,
    lease,
    signal,
    ...(expected === undefined ? {} : { expected }),
  });
  return digest;
}
