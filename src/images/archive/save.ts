// `docker save`: one archive that is a docker-archive (manifest.json) and an OCI image layout (index.json) at once.

import { Readable } from 'node:stream';
import { type TarInput, writeTar } from '../../formats/tar.ts';
import { hexOf } from '../digest.ts';
import type { Library } from '../library.ts';
import { MEDIA_TYPES } from '../manifest.ts';
import { formatFamiliar, parseReference, repositoryName } from '../reference.ts';

interface Saved {
  readonly id: string;
  readonly manifestDigest: string;
  readonly layers: readonly string[];
  /** domain/path:tag */
  readonly tags: string[];
}

/** See ImageStore.save. Everything in it stays in the store until the stream is closed. */
export async function saveImages(library: Library, references: readonly string[]): Promise<Readable> {
  const images = new Map<string, Saved>();
  for (const reference of references)
    for (const [id, tag] of meant(library, reference)) {
      const entry = library.state.images.get(id);
      if (entry === undefined) continue;
      const layers = entry.layers.map(({ digest }) => digest);
      const saved = images.get(id) ?? { id, manifestDigest: entry.manifestDigest, layers, tags: [] };
      images.set(id, saved);
      if (tag !== undefined && !saved.tags.includes(tag)) saved.tags.push(tag);
    }
  const lease = library.leases.group();
  for (const { id, manifestDigest, layers } of images.values())
    for (const digest of [id, manifestDigest, ...layers]) lease.hold(digest);
  const stream = Readable.from(writeTar(entries(library, [...images.values()])), { objectMode: false });
  stream.once('close', () => {
    lease[Symbol.dispose]();
    library.collect();
  });
  return stream;
}

/** The tag that was named; all tags of the repository when only that was; an image without a tag for an id or digest. */
function meant(library: Library, text: string): readonly (readonly [id: string, tag: string | undefined])[] {
  const reference = /^(sha256:.*|[0-9a-f]{64})$/.test(text) ? undefined : parseReference(text);
  const name = reference === undefined ? '' : repositoryName(reference);
  if (reference !== undefined && reference.tag === undefined && reference.digest === undefined) {
    const tagged = [...library.state.tags].filter(([tag]) => tag.startsWith(`${name}:`));
    if (tagged.length > 0) return tagged.map(([tag, id]) => [id, tag]);
  }
  const id = library.resolve(text);
  const tag = reference?.digest === undefined ? `${name}:${reference?.tag}` : '';
  return [[id, library.state.tags.get(tag) === id ? tag : undefined]];
}

function blobName(digest: string): string {
  return `blobs/sha256/${hexOf(digest)}`;
}

function* entries(library: Library, images: readonly Saved[]): Generator<TarInput> {
  yield { name: 'blobs', type: 'folder' };
  yield { name: 'blobs/sha256', type: 'folder' };
  const digests = new Set(
    images.flatMap(({ id, manifestDigest, layers }) => [...layers, id, manifestDigest]),
  );
  for (const digest of digests)
    yield {
      name: blobName(digest),
      type: 'file',
      content: library.blobs.read(digest),
      sizeBytes: library.blobs.size(digest),
    };
  yield { name: 'index.json', type: 'file', content: JSON.stringify(ociIndex(library, images)) };
  yield { name: 'manifest.json', type: 'file', content: JSON.stringify(images.map(dockerItem)) };
  yield { name: 'oci-layout', type: 'file', content: '{"imageLayoutVersion":"1.0.0"}' };
}

function dockerItem({ id, layers, tags }: Saved) {
  return {
    Config: blobName(id),
    RepoTags: tags.length === 0 ? null : tags.map((tag) => formatFamiliar(parseReference(tag))),
    Layers: layers.map(blobName),
  };
}

function ociIndex(library: Library, images: readonly Saved[]) {
  const manifests = images.flatMap(({ id, manifestDigest, tags }) => {
    const descriptor = {
      mediaType: library.documents(id).manifest.mediaType,
      digest: manifestDigest,
      size: library.blobs.size(manifestDigest),
    };
    if (tags.length === 0) return [descriptor];
    return tags.map((tag) => ({
      ...descriptor,
      annotations: {
        'io.containerd.image.name': tag,
        'org.opencontainers.image.ref.name': tag.slice(tag.lastIndexOf(':') + 1),
      },
    }));
  });
  return { schemaVersion: 2, mediaType: MEDIA_TYPES.ociIndex, manifests };
}
