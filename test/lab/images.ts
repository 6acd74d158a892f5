// Makes the images that machines boot, and the minimal roots. Their digest covers this file.

import { readFileSync } from 'node:fs';
import { cp, mkdir, readdir, rm, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { cached, execute, REPOSITORY } from './cache.ts';
import { type ImageKind, MINIMAL_ROOT, type Release } from './releases.ts';

const HOST_KERNELS = process.env['BERTH_KERNEL_DIR'] ?? '/var/lib/berth/kernel';
const FETCH_KERNEL = join(REPOSITORY, 'scripts/fetch-kernel.sh');

export interface Image {
  readonly disk: string;
  readonly kernel: string;
  /** A folder of modules that lead to the disk. */
  readonly modules: string;
}

/** The image of a machine, made when it is not in the cache. */
export async function openImage(release: Release, kind: ImageKind): Promise<Image> {
  const packages = kind.packages.filter((name) => !release.without.includes(name));
  const made = [readFileSync(import.meta.filename, 'utf8'), release.suite, packages, kind.sizeMib];
  const folder = await cached(`${release.name}-${kind.name}`, made, async (work) => {
    const root = join(work, 'root');
    await debootstrap(release, ['--variant=minbase', `--include=${packages.join(',')}`, release.suite, root]);
    const version = await addKernel(root, release);
    for (const name of ['berth', 'clone', 'upper', 'work']) await mkdir(join(root, 'opt', name));
    await symlink('/opt/berth/berth', join(root, 'usr/bin/berth'));
    await writeFile(join(root, 'etc/hostname'), 'lab\n');
    // No firewall but those that a scenario starts, and nothing that waits for a network.
    for (const unit of ['firewalld', 'ufw', 'systemd-networkd-wait-online', 'getty@tty1'])
      await rm(join(root, `etc/systemd/system/multi-user.target.wants/${unit}.service`), { force: true });
    await execute('mke2fs', ['-q', '-t', 'ext4', '-d', root, join(work, 'disk'), `${kind.sizeMib}M`]);
    const kernel = join(root, 'var/lib/berth/kernel', version);
    await cp(join(kernel, 'vmlinuz'), join(work, 'kernel'));
    await mkdir(join(work, 'modules'));
    await copyDiskModules(join(kernel, 'modules/kernel'), join(work, 'modules'));
    await rm(root, { recursive: true });
  });
  return { disk: join(folder, 'disk'), kernel: join(folder, 'kernel'), modules: join(folder, 'modules') };
}

/** A tar of a minimal root of the release. */
export async function openMinimalRoot(release: Release): Promise<string> {
  const folder = await cached(`${release.name}-minimal`, [release.suite, MINIMAL_ROOT], async (work) => {
    const root = join(work, 'root.tar');
    await debootstrap(release, ['--variant=apt', `--include=${MINIMAL_ROOT.join(',')}`, release.suite, root]);
  });
  return join(folder, 'root.tar');
}

async function debootstrap(release: Release, args: readonly string[]): Promise<void> {
  await execute('mmdebstrap', ['--quiet', ...args], { maxBuffer: 64 << 20 }).catch((error: Error) => {
    throw new Error(`mmdebstrap could not make a root of ${release.name}: ${error.message}`);
  });
}

/**
 * The kernel that the machine runs is the one that its guests run: Berth's own of this host where it is of the same
 * release, else fetched with the root's package sources. Gives its version.
 */
async function addKernel(root: string, release: Release): Promise<string> {
  const store = join(root, 'var/lib/berth/kernel');
  await mkdir(store, { recursive: true });
  const here = readFileSync('/etc/os-release', 'utf8').includes(`VERSION_CODENAME=${release.suite}`);
  if (here) await cp(HOST_KERNELS, store, { recursive: true, filter: (path) => !path.endsWith('.json') });
  else {
    await cp(FETCH_KERNEL, join(root, 'fetch-kernel.sh'));
    await cp('/etc/resolv.conf', join(root, 'etc/resolv.conf'));
    await execute('chroot', [root, 'sh', '/fetch-kernel.sh'], { maxBuffer: 64 << 20 });
    await execute('chroot', [root, 'apt-get', 'clean']);
    await rm(join(root, 'var/lib/apt/lists'), { recursive: true });
  }
  const version = (await readdir(store)).at(-1) ?? '';
  await mkdir(join(root, 'lib/modules'), { recursive: true });
  await symlink(`/var/lib/berth/kernel/${version}/modules`, join(root, 'lib/modules', version));
  await execute('chroot', [root, 'depmod', version]);
  return version;
}

const MODULES = [
  'virtio',
  'virtio_ring',
  'virtio_pci_legacy_dev',
  'virtio_pci_modern_dev',
  'virtio_pci',
  'virtio_blk',
];

/** Copies the kernel's modules that lead to a disk. A module may be built in, or not exist in a version. */
async function copyDiskModules(from: string, to: string): Promise<void> {
  for (const path of await readdir(from, { recursive: true })) {
    const [, name, packed] = /([^/]+)\.ko(\.xz)?$/.exec(path.replaceAll('-', '_')) ?? [];
    if (name === undefined || !MODULES.includes(name)) continue;
    const file = join(from, path);
    await writeFile(join(to, `${name}.ko`), packed === undefined ? readFileSync(file) : await unxz(file));
  }
}

async function unxz(file: string): Promise<Buffer> {
  return (await execute('xz', ['-dc', file], { encoding: 'buffer', maxBuffer: 64 << 20 })).stdout;
}
