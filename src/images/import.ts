// `docker import`: an image of one layer from a root file system's tar.

import type { Image, ImportOptions } from '../core/index.ts';
import { applyChanges } from './changes.ts';
import type { Library } from './library.ts';
import { makeLayer } from './new-layer.ts';
import { parsePlatform } from './platform.ts';
import { formatCanonical, parseReference, withDefaultTag } from './reference.ts';

/** See ImageStore.import. */
export async function importImage(
  library: Library,
  tar: AsyncIterable<Uint8Array>,
  options: ImportOptions,
): Promise<Image> {
  const { reference, message, changes, platform } = options;
  const tags = reference === undefined ? [] : [taggedName(reference)];
  return makeLayer(library, tar, {
    what: reference === undefined ? 'imported archive' : `import of ${reference}`,
    tags,
    platform: parsePlatform(platform),
    created: new Date().toISOString(),
    config: applyChanges({}, changes),
    history: { createdBy: '', comment: message ?? 'Imported from -' },
  });
}

/** domain/path:tag of a name to be given; fails with `invalid-argument` for a digest, which is not given but had. */
export function taggedName(reference: string): string {
  const { digest: _, ...named } = withDefaultTag(parseReference(reference));
  return formatCanonical(named);
}
