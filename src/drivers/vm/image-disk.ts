// An image as one read-only disk: its layers merged into an erofs file, built once and shared by all its machines.

import { access, mkdir, mkdtemp, readdir, rm, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { BerthError, errorMessage, type RootfsSource } from '../../core/index.ts';
import { isSealed, readIfExists, removeSealed, run, sealFile, writeAtomic } from '../../host/index.ts';

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

/** The ending of a disk's name, with the version of its content: disks of an earlier version are made anew. */
const SUFFIX = '-2.erofs';

export class ImageDisks {
  readonly #shimPath: string;
  readonly #folder: string;
  /** The layers, as their record has them, of images whose disks were found whole. */
  readonly #known = new Map<string, string>();
  readonly #building = new Map<string, Promise<string>>();

  constructor(shimPath: string, cacheDir: string) {
    this.#shimPath = shimPath;
    this.#folder = join(cacheDir, 'images');
  }

  /** The path of the image's disk, built if need be. Concurrent callers share one build. */
  async open(rootfs: RootfsSource): Promise<string> {
    const name = rootfs.imageId.replace(/^sha256:/, '');
    if (!/^[0-9a-z]+$/.test(name))
      throw new BerthError('invalid-argument', `image id ${rootfs.imageId} cannot name a disk`);
    const running = this.#building.get(name);
    if (running !== undefined) return running;
    const path = join(this.#folder, `${name}${SUFFIX}`);
    const build = this.#find(rootfs, name, path).finally(() => this.#building.delete(name));
    this.#building.set(name, build);
    return build;
  }

  async #find(rootfs: RootfsSource, name: string, path: string): Promise<string> {
    const record = this.#known.get(name) ?? (await readIfExists(join(this.#folder, `${name}.json`)));
    const layers = JSON.stringify(rootfs.layers);
    if (record === layers && (await isSealed(path))) this.#known.set(name, layers);
    else await this.#build(rootfs, name, path);
    return path;
  }

  async #build(rootfs: RootfsSource, name: string, path: string): Promise<void> {
    await mkdir(this.#folder, { recursive: true, mode: 0o700 });
    await this.#sweep();
    const work = await mkdtemp(join(this.#folder, '.build-'));
    try {
      const lower = await arrange(work, rootfs.layers);
      await run(this.#shimPath, ['apart', 'sh', '-c', PACK, 'sh', lower, 'disk'], { cwd: work });
      const layers = JSON.stringify(rootfs.layers);
      await writeAtomic(join(this.#folder, `${name}.json`), layers, { durable: true });
      await sealFile(join(work, 'disk'), path);
      this.#known.set(name, layers);
    } catch (cause) {
      const message = `the disk of image ${rootfs.imageId} cannot be built: ${errorMessage(cause)}`;
      throw new BerthError('internal', message, { cause });
    } finally {
      await rm(work, { recursive: true, force: true });
    }
  }

  /** Removes disks of another format, and those whose image has left the store. Machines that run keep theirs open. */
  async #sweep(): Promise<void> {
    for (const file of await readdir(this.#folder)) {
      if (file.startsWith('.') || file.includes(SUFFIX)) continue;
      const path = join(this.#folder, file);
      const layers = file.endsWith('.json') ? await readLayers(path) : undefined;
      if (layers !== undefined && (await Promise.all(layers.map(exists))).every((there) => there)) continue;
      await rm(path, { force: true });
      if (file.endsWith('.json')) await removeSealed(path.replace(/\.json$/, SUFFIX));
    }
  }
}

/** Undefined when the record is not whole. */
async function readLayers(path: string): Promise<string[] | undefined> {
  try {
    return JSON.parse((await readIfExists(path)) ?? '') as string[];
  } catch {
    return undefined;
  }
}

/** Short names for the layers, so that many of them fit into one mount option; uppermost first. */
async function arrange(work: string, layers: readonly string[]): Promise<string> {
  await mkdir(join(work, 'merged'));
  await mkdir(join(work, 'empty'));
  for (const folder of FOLDERS) await mkdir(join(work, 'base', folder), { recursive: true });
  for (const file of FILES) await writeFile(join(work, 'base', file), '');
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
