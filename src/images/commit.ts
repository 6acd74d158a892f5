// `docker commit`: an image with one more layer.

import type { CommitOptions, Image } from '../core/index.ts';
import { applyChanges } from './changes.ts';
import { taggedName } from './import.ts';
import type { Library } from './library.ts';
import { makeLayer } from './new-layer.ts';

/** See ImageStore.commit. */
export async function commitImage(
  library: Library,
  base: Image,
  tar: AsyncIterable<Uint8Array>,
  options: CommitOptions,
): Promise<Image> {
  const { reference, message, author, createdBy, config, changes } = options;
  return makeLayer(library, tar, {
    what: `commit on top of ${base.tags[0] ?? base.id}`,
    base,
    tags: reference === undefined ? [] : [taggedName(reference)],
    platform: base,
    created: new Date().toISOString(),
    ...(author === undefined ? {} : { author }),
    config: applyChanges(config, changes),
    history: { createdBy, comment: message ?? '' },
  });
}
