// An image as one read-only disk: its layers merged into an erofs file, built once and shared by all its machines.

import { access, mkdir, mkdtemp, readdir, rename, rm, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { BerthError, errorMessage, type RootfsSource } from '../../core/index.ts';
import { readIfExists, run, writeAtomic } from '../../host/index.ts';

/**
 * Lays a view of the layers over one another in a mount namespace that ends with the script, and packs what is seen.
 * $1: the overlay's lower folders, $2: the file to make. Uncompressed: unpacking would cost every start.
 */
const PACK = `
set -e
mount -t overlay -o "ro,lowerdir=$1" overlay merged
mkfs.erofs --quiet -U 00000000-0000-0000-0000-000000000000 "$2" merged 2>&1
`;

/** Mount points every workload has; in the image itself they would else show up as changes of the instance. */
const FOLDERS = ['dev', 'proc', 'sys', 'etc'];
const FILES = ['etc/hostname', 'etc/hosts', 'etc/resolv.conf'];

export class ImageDisks {
  readonly #folder: string;
  readonly #building = new Map<string, Promise<string>>();

  constructor(cacheDir: string) {
    this.#folder = join(cacheDir, 'images');
  }

  /** The path of the image's disk, built if need be. Concurrent callers share one build. */
  async open(rootfs: RootfsSource): Promise<string> {
    const name = rootfs.imageId.replace(/^sha256:/, '');
    if (!/^[0-9a-z]+$/.test(name))
      throw new BerthError('invalid-argument', `image id ${rootfs.imageId} cannot name a disk`);
    const path = join(this.#folder, `${name}.erofs`);
    if (await exists(path)) return path;
    const running = this.#building.get(name);
    if (running !== undefined) return running;
    const build = this.#build(rootfs, name, path).finally(() => this.#building.delete(name));
    this.#building.set(name, build);
    return build;
  }

  async #build(rootfs: RootfsSource, name: string, path: string): Promise<string> {
    await mkdir(this.#folder, { recursive: true, mode: 0o700 });
    await this.#sweep();
    const work = await mkdtemp(join(this.#folder, '.build-'));
    try {
      const lower = await arrange(work, rootfs.layers);
      await run('unshare', ['--mount', 'sh', '-c', PACK, 'sh', lower, 'disk'], { cwd: work });
      await writeAtomic(join(this.#folder, `${name}.json`), JSON.stringify(rootfs.layers));
      await rename(join(work, 'disk'), path);
      return path;
    } catch (cause) {
      const message = `the disk of image ${rootfs.imageId} cannot be built: ${errorMessage(cause)}`;
      throw new BerthError('internal', message, { cause });
    } finally {
      await rm(work, { recursive: true, force: true });
    }
  }

  /** Removes disks whose image has left the store: their layers are gone. Machines that run keep theirs open. */
  async #sweep(): Promise<void> {
    for (const file of await readdir(this.#folder)) {
      if (!file.endsWith('.json')) continue;
      const layers = JSON.parse((await readIfExists(join(this.#folder, file))) ?? '[]') as string[];
      const present = await Promise.all(layers.map(exists));
      if (present.every((there) => there)) continue;
      await rm(join(this.#folder, file.replace(/json$/, 'erofs')), { force: true });
      await rm(join(this.#folder, file), { force: true });
    }
  }
}

/** Short names for the layers, so that many of them fit into one mount option; uppermost first. */
async function arrange(work: string, layers: readonly string[]): Promise<string> {
  await mkdir(join(work, 'merged'));
  await mkdir(join(work, 'empty'));
  for (const folder of FOLDERS) await mkdir(join(work, 'base', folder), { recursive: true });
  for (const file of FILES) await writeFile(join(work, 'base', file), '');
  await symlink('/proc/mounts', join(work, 'base', 'etc/mtab'));
  const names = layers.map((_, index) => `${index}`);
  await Promise.all(layers.map((layer, index) => symlink(layer, join(work, `${index}`))));
  return [...names.reverse(), 'base', 'empty'].join(':');
}

function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  );
}
