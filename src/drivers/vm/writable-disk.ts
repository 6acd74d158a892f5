// An instance's writable layer: an ext4 file system in a sparse file, the upper half of the guest's root.

import { open, rm } from 'node:fs/promises';
import { run } from '../../host/index.ts';

/** How large it may grow; what is not written takes no space. */
export const WRITABLE_BYTES = 8 * 2 ** 30;

/** A file of holes reads as zeros: the tables need no writing, and nothing is left for the guest to initialise. */
const OPTIONS = [
  ...[
    '-q',
    '-F',
    '-m',
    '0',
    '-J',
    'size=16',
    '-G',
    '4096',
    '-O',
    '^resize_inode,^metadata_csum,sparse_super2',
  ],
  ...['-E', 'assume_storage_prezeroed=1,nodiscard,packed_meta_blocks=1,num_backup_sb=0'],
];

/** Makes the disk; leaves nothing when it fails. */
export async function createWritableDisk(path: string, sizeBytes = WRITABLE_BYTES): Promise<void> {
  const file = await open(path, 'wx', 0o600);
  try {
    await file.truncate(sizeBytes);
    await run('mkfs.ext4', [...OPTIONS, path]);
  } catch (error) {
    await rm(path, { force: true });
    throw error;
  } finally {
    await file.close();
  }
}
