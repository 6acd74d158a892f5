// A writable layer with a size limit: a file system of that size in a file, which the shim mounts.

import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { BerthError, errorMessage, type InstanceSpec } from '../../core/index.ts';
import { makeImageFile, run } from '../../host/index.ts';

/** In the instance's folder. */
export const LAYER_IMAGE = 'layer.ext4';

/**
 * Makes it, if the spec wants one, and tries to mount it. Fails with `unsupported` where that cannot be done; leaves
 * nothing then.
 */
export async function makeLayerImage(spec: InstanceSpec, shimPath: string): Promise<void> {
  if (spec.writableBytes === undefined) return;
  const image = join(spec.dir, LAYER_IMAGE);
  await makeImageFile(image, spec.writableBytes, { ephemeral: spec.ephemeral ?? false });
  try {
    await run(shimPath, ['inside', image, spec.dir, 'true']);
  } catch (error) {
    await rm(image, { force: true });
    throw new BerthError(
      'unsupported',
      `storage-opt size: this host cannot mount a file system from a file: load the kernel module "loop" and see that /dev/loop-control is there, or leave the size out (${errorMessage(error)})`,
      { cause: error },
    );
  }
}
