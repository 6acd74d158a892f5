// Volumes with a size limit: an ext4 file system of that size in a sparse file, which any host can mount that has loop
// devices.

import { join } from 'node:path';
import { BerthError, errorMessage, isBerthError } from '../core/index.ts';
import { makeImageFile } from '../host/index.ts';
import { type ContentDoor, DATA_FOLDER } from './content.ts';

export const IMAGE_NAME = 'volume.ext4';
const MIN_BYTES = 4 << 20;
/** What an ext4 file system with blocks of 4 KiB can be, less what it needs for itself. */
const MAX_BYTES = 15 * 2 ** 40;

/** Fails with `invalid-argument`. */
export function checkVolumeSize(name: string, sizeBytes: number): void {
  if (sizeBytes >= MIN_BYTES && sizeBytes <= MAX_BYTES) return;
  throw new BerthError(
    'invalid-argument',
    `create ${name}: a volume of ${sizeBytes} bytes cannot be made: give it a size between 4m and 15t`,
  );
}

/** Makes the file and tries to mount it. Fails with `unsupported` where that cannot be done. */
export async function makeVolumeImage(folder: string, sizeBytes: number, door: ContentDoor): Promise<void> {
  const image = join(folder, IMAGE_NAME);
  try {
    await makeImageFile(image, sizeBytes, { folder: DATA_FOLDER });
  } catch (error) {
    if (!isBerthError(error, 'not-found')) throw error;
    throw new BerthError('unsupported', `this host cannot make a file system in a file: ${error.message}`, {
      cause: error,
    });
  }
  try {
    await door.run({ mountpoint: join(folder, '_data'), image }, ['true']);
  } catch (error) {
    throw new BerthError(
      'unsupported',
      `this host cannot mount a file system from a file, which a size limit needs: load the kernel module "loop" and see that /dev/loop-control is there, or leave the size out (${errorMessage(error)})`,
      { cause: error },
    );
  }
}
