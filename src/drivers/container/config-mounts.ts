// What is mounted into a container: the kernel's file systems, our files, and what the user asked for. Pure.

import type { InstanceSpec, MountSpec, RunNetwork } from '../../core/index.ts';
import { resolvConf, sourceFields } from '../../guest/index.ts';

export interface OciMount {
  readonly destination: string;
  readonly type: string;
  readonly source: string;
  readonly options: readonly string[];
}

const MASKED = [
  '/proc/asound',
  '/proc/acpi',
  '/proc/interrupts',
  '/proc/kcore',
  '/proc/keys',
  // These three are not in Docker's list: the state of each page of the host's memory.
  '/proc/kpagecgroup',
  '/proc/kpagecount',
  '/proc/kpageflags',
  '/proc/latency_stats',
  '/proc/timer_list',
  '/proc/timer_stats',
  '/proc/sched_debug',
  '/proc/scsi',
  '/sys/firmware',
  '/sys/devices/virtual/powercap',
];
const READONLY = ['/proc/bus', '/proc/fs', '/proc/irq', '/proc/sys', '/proc/sysrq-trigger'];

/** Paths hidden from the workload, and those it may only read. */
export function coveredPaths(spec: InstanceSpec): {
  maskedPaths: readonly string[];
  readonlyPaths: readonly string[];
} {
  const open = spec.security.privileged;
  return {
    maskedPaths: spec.security.maskedPaths ?? (open ? [] : MASKED),
    readonlyPaths: spec.security.readonlyPaths ?? (open ? [] : READONLY),
  };
}

function mount(destination: string, type: string, source: string, options: string): OciMount {
  return { destination, type, source, options: options.split(',') };
}

/** The kernel's file systems, as Docker mounts them. */
function kernelMounts(spec: InstanceSpec): OciMount[] {
  const access = spec.security.privileged ? 'rw' : 'ro';
  return [
    mount('/proc', 'proc', 'proc', 'nosuid,noexec,nodev'),
    mount('/dev', 'tmpfs', 'tmpfs', 'nosuid,strictatime,mode=755,size=65536k'),
    mount('/dev/pts', 'devpts', 'devpts', 'nosuid,noexec,newinstance,ptmxmode=0666,mode=0620,gid=5'),
    mount('/sys', 'sysfs', 'sysfs', `nosuid,noexec,nodev,${access}`),
    mount('/sys/fs/cgroup', 'cgroup', 'cgroup', `${access},nosuid,noexec,nodev`),
    // Queues are those of the namespace: also the host's where that is shared, whether the host has them mounted or not.
    mount('/dev/mqueue', 'mqueue', 'mqueue', 'nosuid,noexec,nodev'),
    spec.ipc === 'host'
      ? mount('/dev/shm', 'bind', '/dev/shm', 'rbind')
      : mount('/dev/shm', 'tmpfs', 'shm', `nosuid,noexec,nodev,mode=1777,size=${spec.resources.shmBytes}`),
  ];
}

/** Files that the shim writes into its folder run/ and that appear in the container. */
const FILES: Readonly<Record<string, string>> = {
  'resolv.conf': '/etc/resolv.conf',
  hostname: '/etc/hostname',
  hosts: '/etc/hosts',
};

/** Path of the init inside: a copy that the shim makes of itself, and whose name makes it act as an init. */
export const INIT_PATH = '/sbin/docker-init';

function ownMounts(spec: InstanceSpec): OciMount[] {
  const access = spec.readonlyRoot ? 'rbind,rprivate,ro' : 'rbind,rprivate';
  const files = Object.entries(FILES).map(([name, target]) =>
    mount(target, 'bind', `${spec.dir}/run/${name}`, access),
  );
  return spec.init ? [...files, mount(INIT_PATH, 'bind', `${spec.dir}/run/init`, 'bind,ro')] : files;
}

const OPPOSITES: Readonly<Record<string, string>> = { exec: 'noexec', suid: 'nosuid', dev: 'nodev' };

/** Binds that the shim makes in its folder first: `source` fields. */
export function preparedBinds(spec: InstanceSpec): string[] {
  return spec.mounts.flatMap((entry, index) => {
    if (entry.type !== 'bind' || !isPrepared(entry)) return [];
    return sourceFields(index, entry, hostPath(spec, entry));
  });
}

type Bind = Extract<MountSpec, { type: 'bind' }>;

/** Parts of volumes; and read-only ones, as runtimes make no more than the top of a bind read-only. */
const isPrepared = ({ image, subpath, readonly }: Bind) =>
  image !== undefined || subpath !== undefined || readonly;

/** Binds from which mounts are to reach the host: the shim takes them before it leaves the host's mounts. */
export function sharedBinds(spec: InstanceSpec): Bind[] {
  return spec.mounts.filter(
    (entry) => entry.type === 'bind' && entry.propagation.endsWith('shared'),
  ) as Bind[];
}

/** The path that is to be bound. */
export function bindSource(spec: InstanceSpec, entry: Bind): string {
  return isPrepared(entry) ? `${spec.dir}/run/source.${spec.mounts.indexOf(entry)}` : hostPath(spec, entry);
}

function hostPath(spec: InstanceSpec, entry: Bind): string {
  const shared = sharedBinds(spec).indexOf(entry);
  return shared >= 0 ? `${spec.dir}/run/shared.${shared}` : entry.source;
}

function userMount(instance: InstanceSpec, spec: MountSpec): OciMount {
  if (spec.type === 'bind')
    return mount(
      spec.target,
      'bind',
      bindSource(instance, spec),
      `rbind,${spec.readonly ? 'ro' : 'rw'},${spec.propagation}`,
    );
  const base = ['noexec', 'nosuid', 'nodev'].filter(
    (name) => !spec.options.some((given) => OPPOSITES[given] === name),
  );
  const options = [
    ...new Set([...base, ...spec.options]),
    ...(spec.readonly ? ['ro'] : []),
    ...(spec.sizeBytes === undefined ? [] : [`size=${spec.sizeBytes}`]),
    ...(spec.mode === undefined ? [] : [`mode=${spec.mode.toString(8)}`]),
  ];
  return { destination: spec.target, type: 'tmpfs', source: 'tmpfs', options };
}

const depth = (path: string) => path.split('/').filter((part) => part !== '').length;

export function outerFirst(mounts: readonly MountSpec[]): MountSpec[] {
  return [...mounts].sort((a, b) => depth(a.target) - depth(b.target));
}

/** All mounts in the order they are to be made. The user's replace ours at, or below, the same place. */
export function mountsOf(spec: InstanceSpec): OciMount[] {
  const targets = new Set(spec.mounts.map((entry) => entry.target));
  const coversDev = targets.has('/dev');
  const ours = [...kernelMounts(spec), ...ownMounts(spec)].filter(
    (entry) => !targets.has(entry.destination) && !(coversDev && entry.destination.startsWith('/dev/')),
  );
  const theirs = outerFirst(spec.mounts).map((entry) => userMount(spec, entry));
  return [...ours, ...theirs];
}

/** How far mounts made later on the host or in the container reach: as far as the widest bind asks. */
export function rootPropagation(spec: InstanceSpec): string {
  const kinds = spec.mounts.map((entry) => (entry.type === 'bind' ? entry.propagation : 'rprivate'));
  if (kinds.some((kind) => kind.endsWith('shared'))) return 'shared';
  return kinds.some((kind) => kind.endsWith('slave')) ? 'rslave' : 'rprivate';
}

const HOSTS = `127.0.0.1\tlocalhost
::1\tlocalhost ip6-localhost ip6-loopback
fe00::0\tip6-localnet
ff00::0\tip6-mcastprefix
ff02::1\tip6-allnodes
ff02::2\tip6-allrouters
`;

/** Texts of the host's own files, for containers that share its network. */
export interface HostFiles {
  readonly hosts: string;
  readonly resolvConf: string;
}

/** Names and contents of the files for the shim's folder. */
export function filesOf(
  spec: InstanceSpec,
  host: HostFiles,
  network?: RunNetwork,
): Readonly<Record<string, string>> {
  const extra = spec.extraHosts.map((entry) => {
    const cut = entry.indexOf(':');
    return `${entry.slice(cut + 1)}\t${entry.slice(0, cut)}\n`;
  });
  const shared = spec.network === 'host';
  const peers = (network?.hosts ?? []).map((line) => `${line}\n`);
  return {
    hosts: [shared ? host.hosts : HOSTS, ...extra, ...peers].join(''),
    hostname: `${spec.hostname}\n`,
    'resolv.conf': shared && spec.dns.length === 0 ? host.resolvConf : resolvConf(spec.dns, network),
  };
}
