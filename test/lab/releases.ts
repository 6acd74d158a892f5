// Releases that the lab knows, and what is in their machines and minimal roots.

export interface Release {
  readonly name: string;
  readonly suite: string;
  /** Beside the packages of scripts/packages.txt that it lacks. */
  readonly without: readonly string[];
}

const DEBIAN_12: Release = { name: 'debian-12', suite: 'bookworm', without: ['virtiofsd'] };
const DEBIAN_13: Release = { name: 'debian-13', suite: 'trixie', without: [] };
export const RELEASES: readonly Release[] = [DEBIAN_12, DEBIAN_13];

/** An image that a machine boots: `containers` is small enough to be made in every run of the tests. */
export interface ImageKind {
  readonly name: 'containers' | 'whole';
  readonly packages: readonly string[];
  readonly sizeMib: number;
}

const SYSTEM = ['systemd', 'systemd-sysv', 'udev', 'dbus', 'kmod', 'mount', 'util-linux', 'ca-certificates'];
const CONTAINERS = [
  'crun',
  'nftables',
  'iproute2',
  'procps',
  'e2fsprogs',
  'busybox-static',
  'tar',
  'libarchive13',
];
const MACHINES = ['qemu-system-x86', 'virtiofsd', 'erofs-utils', 'xz-utils', 'zstd'];
const OTHERS = ['firewalld', 'ufw', 'iptables', 'runc', 'openssl'];

export const CONTAINER_IMAGE: ImageKind = {
  name: 'containers',
  packages: [...SYSTEM, ...CONTAINERS],
  sizeMib: 2048,
};
export const WHOLE_IMAGE: ImageKind = {
  name: 'whole',
  packages: [...SYSTEM, ...CONTAINERS, ...MACHINES, ...OTHERS],
  sizeMib: 8192,
};

/** A root with nothing but what README's two commands presuppose. */
export const MINIMAL_ROOT: readonly string[] = ['nodejs', 'npm', 'git', 'ca-certificates'];
