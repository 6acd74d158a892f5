// An image as the rest of Berth sees it.

import type { Image } from '../core/index.ts';
import type { ImageEntry } from './catalog.ts';
import type { Documents } from './library.ts';
import { formatFamiliar, parseReference } from './reference.ts';

const NEVER = '0001-01-01T00:00:00Z';

export function viewImage(
  id: string,
  entry: ImageEntry,
  { manifest, config }: Documents,
  tags: readonly string[],
  blobSize: (digest: string) => number,
): Image {
  const layers = entry.layers.map((layer, index) => ({
    diffId: layer.diffId,
    digest: layer.digest,
    mediaType: manifest.layers[index]?.mediaType ?? '',
    compressedBytes: blobSize(layer.digest),
    unpackedBytes: layer.bytes,
  }));
  return Object.freeze({
    id,
    manifestDigest: entry.manifestDigest,
    tags: tags.map(familiar).sort(),
    repoDigests: entry.repoDigests.map(familiar),
    os: config.os,
    architecture: config.architecture,
    ...(config.variant === undefined ? {} : { variant: config.variant }),
    created: config.created ?? NEVER,
    ...(config.author === undefined ? {} : { author: config.author }),
    config: config.config,
    history: config.history,
    layers,
    sizeBytes: layers.reduce((sum, layer) => sum + layer.unpackedBytes, 0),
  });
}

function familiar(canonical: string): string {
  return formatFamiliar(parseReference(canonical));
}
