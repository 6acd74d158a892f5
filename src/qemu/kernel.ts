// The kernel store: folders <version>/{vmlinuz,modules/} that scripts/fetch-kernel.sh fills, and the uncompressed
// kernel that is cached from them, so that no guest spends its start unpacking.

import { createHash } from 'node:crypto';
import { access, mkdir, readdir, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { BerthError, errorMessage } from '../core/index.ts';
import { extractKernel } from '../formats/bzimage.ts';
import { elfNotes } from '../formats/elf.ts';
import { isSealed, writeSealed } from '../host/index.ts';

export interface GuestKernel {
  readonly version: string;
  /** The folder in the store. */
  readonly folder: string;
}

export interface BootKernel {
  readonly path: string;
  /** Entered directly as an ELF file (PVH); otherwise a bzImage that unpacks itself behind a BIOS. */
  readonly direct: boolean;
}

const PHYS32_ENTRY_NOTE = 18;

/** Version numbers inside compared as numbers: 6.1.0-56 is newer than 6.1.0-9. */
function byVersion(a: string, b: string): number {
  return a.localeCompare(b, 'en', { numeric: true });
}

/** The newest kernel of the store. Fails with `unavailable` when it is empty. */
export async function findKernel(store: string): Promise<GuestKernel> {
  const names = await readdir(store).catch(() => []);
  for (const version of names.sort(byVersion).reverse()) {
    const folder = join(store, version);
    const complete = await Promise.all([
      access(join(folder, 'vmlinuz')),
      access(join(folder, 'modules', 'kernel')),
    ]).then(
      () => true,
      () => false,
    );
    if (complete && !version.startsWith('.')) return { version, folder };
  }
  throw new BerthError(
    'unavailable',
    `there is no guest kernel in ${store}: run set-up again (npm run setup), which fetches one`,
  );
}

/** The kernel in the form that starts quickest, cached in `cacheDir`. */
export async function prepareKernel(kernel: GuestKernel, cacheDir: string): Promise<BootKernel> {
  const packed = join(kernel.folder, 'vmlinuz');
  const bzImage = await readFile(packed);
  const digest = createHash('sha256').update(bzImage).digest('hex').slice(0, 16);
  const path = join(cacheDir, `vmlinux-${kernel.version}-${digest}`);
  const direct = { path, direct: true };
  if (await isSealed(path)) return direct;
  const elf = unpack(bzImage, packed);
  if (elf === undefined) return { path: packed, direct: false };
  await mkdir(cacheDir, { recursive: true, mode: 0o700 });
  // QEMU, which runs as nobody in particular, opens it for reading.
  await writeSealed(path, elf, { mode: 0o644 });
  await removeOthers(cacheDir, 'vmlinux-', path);
  return direct;
}

/** Drops what an earlier kernel or agent left in the cache; machines that run have read theirs. */
export async function removeOthers(cacheDir: string, prefix: string, keep: string): Promise<void> {
  for (const name of await readdir(cacheDir))
    if (name.startsWith(prefix) && !join(cacheDir, name).startsWith(keep))
      await rm(join(cacheDir, name), { force: true });
}

function unpack(bzImage: Buffer, path: string): Buffer | undefined {
  try {
    const elf = extractKernel(bzImage);
    const hasEntry =
      elf !== undefined &&
      elfNotes(elf).some((note) => note.name === 'Xen' && note.type === PHYS32_ENTRY_NOTE);
    return hasEntry ? elf : undefined;
  } catch (cause) {
    throw new BerthError(
      'unavailable',
      `the guest kernel ${path} is damaged (${errorMessage(cause)}): remove its folder and fetch it again`,
      { cause },
    );
  }
}
