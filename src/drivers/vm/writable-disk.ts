// An instance's writable layer: an ext4 file system in a sparse file, the upper half of the guest's root.

import { mkdir, open, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { BerthError } from '../../core/index.ts';
import { imageFileBytes, isSealed, run, sealFile } from '../../host/index.ts';

/** How large it may grow; what is not written takes no space. */
export const WRITABLE_BYTES = 8 * 2 ** 30;

/** A file of holes reads as zeros: the tables need no writing, and nothing is left for the guest to initialise. */
const OPTIONS = [
  ...['-q', '-F', '-b', '4096', '-i', '16384', '-m', '0', '-G', '4096'],
  ...['-E', 'assume_storage_prezeroed=1,nodiscard,packed_meta_blocks=1,num_backup_sb=0'],
];
/** The start that a disk was just taken for comes first. */
const PATIENCE_MS = 1500;
const SMALL_BYTES = 128 * 2 ** 20;
const FEATURES = '^resize_inode,^metadata_csum,sparse_super2';

/**
 * Makes the disk; leaves nothing when it fails. An ephemeral one, which is never mounted a second time, has no journal
 * that could repair it, and is mounted the sooner for it.
 */
async function format(path: string, ephemeral: boolean, sizeBytes: number): Promise<void> {
  const journalMib = sizeBytes < SMALL_BYTES ? 4 : 16;
  const journal = ephemeral
    ? ['-O', `${FEATURES},^has_journal`]
    : ['-O', FEATURES, '-J', `size=${journalMib}`];
  const file = await open(path, 'wx', 0o600);
  try {
    await file.truncate(Math.max(WRITABLE_BYTES, Math.ceil(sizeBytes / 4096) * 4096));
    // The device is as large as its template's, the file system on it may be smaller.
    await run('mkfs.ext4', [...OPTIONS, ...journal, path, `${Math.floor(sizeBytes / 1024)}k`]);
  } catch (error) {
    await rm(path, { force: true });
    throw error;
  } finally {
    await file.close();
  }
}

/** Makes disks, one of each kind ahead: the next machine need not wait for its own. */
export class WritableDisks {
  readonly #folder: string;
  readonly #making = new Map<boolean, Promise<void>>();
  readonly #sizeBytes: number;
  #closed = false;

  /** `sizeBytes`: how much fits on one. */
  constructor(cacheDir: string, sizeBytes: number) {
    this.#folder = join(cacheDir, 'disks');
    this.#sizeBytes = sizeBytes;
  }

  /** Puts an empty disk at the path, or nothing when it fails: one that holds `limitBytes` where that is given. */
  async make(path: string, ephemeral: boolean, limitBytes?: number): Promise<void> {
    if (limitBytes !== undefined)
      return await format(path, ephemeral, imageFileBytes(limitBytes, { ephemeral }));
    try {
      const spare = this.#spare(ephemeral);
      if (!(await isSealed(spare))) throw new BerthError('not-found', `${spare} is not whole`);
      await rename(spare, path);
    } catch {
      // None is there, or it is on another file system.
      await format(path, ephemeral, this.#sizeBytes);
    }
    setTimeout(() => this.#makeSpare(ephemeral), PATIENCE_MS).unref();
  }

  /** Resolves when none is being made any more; what is there is for the next daemon. */
  async close(): Promise<void> {
    this.#closed = true;
    await Promise.all(this.#making.values());
  }

  #spare(ephemeral: boolean): string {
    return join(this.#folder, `${ephemeral ? 'ephemeral' : 'lasting'}-${this.#sizeBytes}.ext4`);
  }

  #makeSpare(ephemeral: boolean): void {
    if (this.#closed || this.#making.has(ephemeral)) return;
    const making = this.#formatSpare(ephemeral)
      // Whoever needs one makes it, and says what is wrong.
      .catch(() => {})
      .finally(() => this.#making.delete(ephemeral));
    this.#making.set(ephemeral, making);
  }

  /** Only a whole one has its name. */
  async #formatSpare(ephemeral: boolean): Promise<void> {
    const path = this.#spare(ephemeral);
    if (await isSealed(path)) return;
    await mkdir(this.#folder, { recursive: true, mode: 0o700 });
    await rm(`${path}.new`, { force: true });
    await format(`${path}.new`, ephemeral, this.#sizeBytes);
    await sealFile(`${path}.new`, path);
  }
}
