// Base images made from the machine itself: no registry is needed to have something to run.

import { mkdir } from 'node:fs/promises';
import type { BaseOptions, Image } from '../../core/index.ts';
import { taggedName } from '../import.ts';
import type { Library } from '../library.ts';
import { makeLayer } from '../new-layer.ts';
import { hostPlatform } from '../platform.ts';
import { busyboxTar } from './busybox.ts';
import { debianTar } from './debian.ts';

export const BASE_PATH = 'PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';

/** What a base image is made of. */
export interface BaseTar {
  readonly tar: AsyncIterable<Uint8Array>;
  readonly created: string;
  readonly createdBy: string;
  readonly command: readonly string[];
}

/** See ImageStore.createBase. */
export async function createBaseImage(library: Library, options: BaseOptions): Promise<Image> {
  const reference = options.reference ?? options.kind;
  const tags = [taggedName(reference)];
  const folder = library.work.fresh('base');
  await mkdir(folder, { mode: 0o755 });
  try {
    const base = options.kind === 'busybox' ? await busyboxTar(options) : await debianTar(options, folder);
    return await makeLayer(library, base.tar, {
      what: `base image ${reference}`,
      tags,
      platform: hostPlatform(),
      created: base.created,
      config: { Env: [BASE_PATH], Cmd: base.command },
      history: { createdBy: base.createdBy, comment: 'made by Berth from the machine itself' },
      signal: options.signal,
    });
  } finally {
    library.work.discard(folder);
  }
}
