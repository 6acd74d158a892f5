// A layer from a tar, unpacked, digested, compressed and stored in one pass, and the image that it is the top of.

import { once } from 'node:events';
import { PassThrough, type Writable } from 'node:stream';
import { createGzip } from 'node:zlib';
import { BerthError, type Image, type ImageRunConfig } from '../core/index.ts';
import { decompress } from '../formats/compression.ts';
import { throwFirst } from './admit.ts';
import type { StagedLayer } from './layers.ts';
import type { LeaseGroup } from './leases.ts';
import type { Library } from './library.ts';
import { type Descriptor, formatManifest, type ImageConfig, MEDIA_TYPES } from './manifest.ts';
import type { Platform } from './platform.ts';

export interface NewImage {
  /** For messages. */
  readonly what: string;
  /** The image below it; absent: none. */
  readonly base?: Image;
  /** domain/path:tag */
  readonly tags: readonly string[];
  readonly platform: Platform;
  /** RFC 3339. */
  readonly created: string;
  readonly author?: string;
  readonly config: ImageRunConfig;
  readonly history: { readonly createdBy: string; readonly comment: string };
  readonly signal?: AbortSignal | undefined;
}

/** Stores the image of the tar, which may be compressed. Fails without a trace. */
export function makeLayer(library: Library, tar: AsyncIterable<Uint8Array>, image: NewImage): Promise<Image> {
  return library.adding(async (lease) => {
    const below = image.base && library.documents(image.base.id);
    if (image.base && below) library.hold(lease, image.base.manifestDigest, below);
    const { staged, layer } = await storeLayer(library, tar, image, lease);
    lease.hold(staged.diffId);
    await library.layers.commit(staged);
    const config = await library.blobs.writeDocument(
      formatConfig(image, staged.diffId, below?.config),
      lease,
    );
    const configDescriptor = { mediaType: MEDIA_TYPES.ociConfig, digest: config.digest, size: config.bytes };
    const manifest = await library.blobs.writeDocument(
      formatManifest(configDescriptor, [...(below?.manifest.layers ?? []), layer]),
      lease,
    );
    const documents = await library.readDocuments(manifest.digest, image.what);
    return library.register(manifest.digest, documents, { tags: image.tags, repoDigests: [] });
  });
}

function formatConfig(image: NewImage, diffId: string, below: ImageConfig | undefined): string {
  const { platform, created, config, history } = image;
  return JSON.stringify({
    created,
    ...(image.author === undefined ? {} : { author: image.author }),
    architecture: platform.architecture,
    ...(platform.variant === undefined ? {} : { variant: platform.variant }),
    os: platform.os,
    config,
    rootfs: { type: 'layers', diff_ids: [...(below?.diffIds ?? []), diffId] },
    history: [
      ...(below?.history ?? []),
      { created, created_by: history.createdBy, comment: history.comment },
    ],
  });
}

async function storeLayer(
  library: Library,
  tar: AsyncIterable<Uint8Array>,
  { what, signal }: NewImage,
  lease: LeaseGroup,
): Promise<{ readonly staged: StagedLayer; readonly layer: Descriptor }> {
  const toUnpack = new PassThrough();
  const toStore = createGzip({ level: 6, chunkSize: 1 << 18 });
  const [fed, staged, stored] = await Promise.allSettled([
    feed(decompress(tar), [toUnpack, toStore]),
    library.layers.stage(toUnpack, what, signal),
    library.blobs.ingest(toStore, { what, lease, signal }),
  ]);
  if (staged.status === 'fulfilled' && stored.status === 'fulfilled' && fed.status === 'fulfilled') {
    const { digest, bytes } = stored.value;
    return { staged: staged.value, layer: { mediaType: MEDIA_TYPES.ociLayerGzip, digest, size: bytes } };
  }
  if (staged.status === 'fulfilled') library.layers.discard(staged.value);
  throwFirst([staged, stored, fed].filter((result) => !isConsequence(result)));
  throw new BerthError('internal', `${what}: ended early`);
}

/** The error of a stream that was closed because another one failed. */
class Consequence extends Error {}

function isConsequence(result: PromiseSettledResult<unknown>): boolean {
  if (result.status === 'fulfilled') return false;
  const reason: unknown = result.reason;
  const code = reason instanceof Error && 'code' in reason ? reason.code : '';
  return reason instanceof Consequence || code === 'ERR_STREAM_PREMATURE_CLOSE';
}

/** Writes the source to all sinks at the speed of the slowest. When one of them closes, all end. */
async function feed(source: AsyncIterable<Buffer>, sinks: readonly Writable[]): Promise<void> {
  try {
    for await (const chunk of source)
      await Promise.all(sinks.map((sink) => (sink.write(chunk) ? undefined : drained(sink))));
    for (const sink of sinks) sink.end();
  } catch (error) {
    const consequence = new Consequence('another part failed', { cause: error });
    for (const sink of sinks) sink.destroy(consequence);
    throw error;
  }
}

async function drained(sink: Writable): Promise<void> {
  if (sink.destroyed) throw new Consequence('the stream was closed');
  const closed = new AbortController();
  const onClose = () => closed.abort();
  sink.once('close', onClose);
  try {
    await once(sink, 'drain', { signal: closed.signal });
  } catch (error) {
    throw new Consequence('the stream was closed', { cause: error });
  } finally {
    sink.off('close', onClose);
  }
}
