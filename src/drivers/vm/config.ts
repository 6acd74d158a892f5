// From an instance's spec to what the shim, QEMU and the guest agent are told. Pure.

import {
  BerthError,
  type InstanceSpec,
  type MountSpec,
  type ProcessSpec,
  type UlimitSpec,
} from '../../core/index.ts';
import type { FieldValue } from '../../formats/frames.ts';
import { sourceFields } from '../../guest/index.ts';
import {
  type BootKernel,
  type HostVerdict,
  type Machine,
  MIN_MEMORY_BYTES,
  machineArguments,
} from '../../qemu/index.ts';
import { capabilityMask } from './capabilities.ts';
import { checkDisks, diskLimits, type HostGroup } from './limits.ts';
import { WRITABLE_BYTES } from './writable-disk.ts';

export type FieldRecord = Readonly<Record<string, FieldValue>>;

/** Guest memory when the user names no limit. */
export const DEFAULT_MEMORY_BYTES = 256 << 20;
/** Numbers from here on belong to no user on any distribution (systemd's UID allocation: unused range). */
const FIRST_UID = 1_879_048_192;

export function memoryBytes(spec: InstanceSpec): number {
  return spec.resources.memoryBytes ?? DEFAULT_MEMORY_BYTES;
}

/** QEMU counts memory in these. */
export function wholeMiB(bytes: number): number {
  return Math.floor(bytes / 2 ** 20) * 2 ** 20;
}

export function cpuCount(spec: InstanceSpec): number {
  return Math.max(1, Math.ceil(spec.resources.cpus ?? 1));
}

/** The user that a machine runs as unless another machine has it: its shim takes the next one then (shim/vm-user.c). */
export function machineUid(id: string): number {
  return FIRST_UID + Number.parseInt(id.slice(0, 6), 16);
}

/** Fails with `unsupported` or `invalid-argument` for what a VM cannot be given. */
export function checkSpec(spec: InstanceSpec, hostMemoryBytes = Number.POSITIVE_INFINITY): void {
  const reason = unsupported(spec);
  if (reason !== undefined) throw new BerthError('unsupported', `isolation vm: ${reason}`);
  if (memoryBytes(spec) < MIN_MEMORY_BYTES)
    throw new BerthError(
      'invalid-argument',
      `isolation vm: ${memoryBytes(spec)} bytes of memory are too little for a guest kernel; give at least ${MIN_MEMORY_BYTES >> 20} MiB (--memory ${MIN_MEMORY_BYTES >> 20}m)`,
    );
  if (memoryBytes(spec) > hostMemoryBytes)
    throw new BerthError(
      'invalid-argument',
      `isolation vm: ${gib(memoryBytes(spec))} GiB of memory are more than this host has (${gib(hostMemoryBytes)} GiB); give less (--memory)`,
    );
  if (bootMode(spec) === 'fork' && !canFork(spec))
    throw new BerthError(
      'unsupported',
      'isolation vm: a machine that shares host folders, or has a disk larger than its template, cannot be forked; use --boot auto, or leave the binds or the size out',
    );
  capabilityMask(spec.security);
  checkDisks(spec.resources);
  for (const limit of spec.resources.ulimits) formatUlimit(limit);
}

const gib = (bytes: number) => Math.round(bytes / 2 ** 27) / 8;

function unsupported(spec: InstanceSpec): string | undefined {
  if (spec.network === 'host')
    return 'the host network cannot be shared with a guest kernel; use --network none';
  if (spec.pidMode === 'host') return 'host processes cannot be seen by a guest kernel; leave --pid out';
  if (spec.ipc === 'host') return 'host IPC cannot be shared with a guest kernel; leave --ipc out';
  const device = spec.devices[0];
  if (device !== undefined)
    return `the host device ${device.hostPath} cannot be passed to a guest; leave --device out`;
  if (spec.security.seccomp !== 'default' && spec.security.seccomp !== 'unconfined')
    return 'a seccomp profile does not apply: the workload has a kernel of its own; leave it out';
  if (spec.resources.oomKillDisable) return 'the OOM killer of the guest cannot be disabled';
  const shared = spec.mounts.find((mount) => mount.type === 'bind' && !mount.propagation.endsWith('private'));
  if (shared !== undefined)
    return `mount propagation does not cross into a guest: use rprivate for ${shared.target}`;
  const partly = spec.mounts.find((mount) => mount.type === 'bind' && mount.reach === 'top');
  if (partly !== undefined)
    return `mounts below a read-only one are read-only too; leave ReadOnlyNonRecursive out for ${partly.target}`;
  return undefined;
}

type Bind = Extract<MountSpec, { type: 'bind' }>;

/** The bind mounts, whose sources the machine shares with the host. */
export function binds(spec: InstanceSpec): Bind[] {
  return spec.mounts.filter((mount) => mount.type === 'bind');
}

function shares(spec: InstanceSpec): string[] {
  return binds(spec).flatMap((bind, number) => sourceFields(number, bind));
}

/** What the cgroup of its machine, which has so much memory, is for. */
export function hostGroup(spec: InstanceSpec, machineBytes: number): HostGroup {
  return { memoryBytes: machineBytes, sharesFolders: binds(spec).length > 0 };
}

/** A template as its keeper told of it: the shim refuses one that is not so. */
export interface TemplateFiles {
  readonly memory: string;
  readonly memoryBytes: number;
  readonly state: string;
  readonly stateBytes: number;
  readonly stateSum: string;
}

export interface MachineFiles {
  readonly qemu: string;
  /** The command that serves its shares, if it has any. */
  readonly virtiofsd?: readonly string[];
  readonly kernel: BootKernel;
  readonly initrd: string;
  readonly image: string;
  readonly writable: string;
  /** How many network interfaces the host can give it. */
  readonly nics: number;
  /** What to fork it from, if it need not boot. */
  readonly template?: TemplateFiles;
  /** What to go on from: its workload runs already. The machine is of the shape that was captured. */
  readonly resumed?: { readonly files: TemplateFiles; readonly shape: MachineShape };
  readonly cgroups: readonly string[];
  /** The file that counts OOM kills in the memory cgroup. */
  readonly oomFile?: string;
}

/** What the shim does on the host: vm.machine. */
export function machineFields(spec: InstanceSpec, files: MachineFiles, host: HostVerdict): FieldRecord {
  const machine = {
    ...(files.resumed?.shape ?? machineShape(spec, files, host)),
    shares: binds(spec).length > 0,
    ephemeral: spec.ephemeral ?? false,
    name: `berth-${spec.id.slice(0, 12)}`,
  };
  const origin = files.resumed?.files ?? files.template;
  return {
    qemu: [files.qemu, ...machineArguments(machine)],
    memory_bytes: machine.memoryBytes,
    nics: machine.nics,
    ...(origin === undefined ? {} : forkFields(files.qemu, machine, origin)),
    resumed: files.resumed !== undefined,
    shape: JSON.stringify(shapeOf(machine)),
    uid: machineUid(spec.id),
    oom_score_adj: spec.resources.oomScoreAdj,
    ...diskLimits(spec.resources),
    kvm: host.accelerator === 'kvm',
    cgroup: files.cgroups,
    oom_file: files.oomFile,
    kernel: files.kernel.path,
    initrd: files.initrd,
    image: files.image,
    writable: files.writable,
    ...(files.virtiofsd === undefined ? {} : { virtiofsd: files.virtiofsd }),
    source: shares(spec),
  };
}

function forkFields(qemu: string, machine: Machine, template: TemplateFiles): FieldRecord {
  return {
    fork: [qemu, ...machineArguments({ ...machine, origin: { kind: 'fork' } })],
    memory: template.memory,
    state: template.state,
    state_bytes: template.stateBytes,
    state_sum: template.stateSum,
  };
}

/** What machines must have in common for one to be a copy of another. */
export type MachineShape = Pick<
  Machine,
  'accelerator' | 'memoryBytes' | 'cpus' | 'nics' | 'directKernel' | 'tscKhz'
>;

export function machineShape(
  spec: InstanceSpec,
  files: Pick<MachineFiles, 'kernel' | 'nics'>,
  host: HostVerdict,
): MachineShape {
  return {
    accelerator: host.accelerator,
    memoryBytes: wholeMiB(memoryBytes(spec)),
    cpus: cpuCount(spec),
    nics: files.nics,
    directKernel: files.kernel.direct,
    ...(host.tscKhz === undefined ? {} : { tscKhz: host.tscKhz }),
  };
}

function shapeOf({ accelerator, memoryBytes, cpus, nics, directKernel, tscKhz }: MachineShape): MachineShape {
  return { accelerator, memoryBytes, cpus, nics, directKernel, ...(tscKhz === undefined ? {} : { tscKhz }) };
}

/** The vm.machine of a template: no disks, no limits but its size, nothing of any instance. */
export function templateFields(
  shape: MachineShape,
  files: Pick<MachineFiles, 'qemu' | 'kernel' | 'initrd'>,
  id: string,
): FieldRecord {
  const machine: Machine = {
    ...shape,
    ...{ shares: false, ephemeral: true, name: 'berth-template' },
    origin: { kind: 'template', writableBytes: WRITABLE_BYTES },
  };
  return {
    qemu: [files.qemu, ...machineArguments(machine)],
    ...{ template: true, background: true, uid: machineUid(id), kvm: shape.accelerator === 'kvm' },
    ...{ kernel: files.kernel.path, initrd: files.initrd, memory_bytes: shape.memoryBytes },
    nics: shape.nics,
  };
}

export const BOOT_ANNOTATION = 'berth.boot';
const BOOT_MODES = ['auto', 'cold', 'fork', 'pool'] as const;
export type BootMode = (typeof BOOT_MODES)[number];

/** How the user wants the machine to come up; 'auto' unless the annotation says otherwise. */
export function bootMode(spec: InstanceSpec): BootMode {
  const asked = spec.annotations[BOOT_ANNOTATION] ?? 'auto';
  const mode = BOOT_MODES.find((known) => known === asked);
  if (mode === undefined)
    throw new BerthError('invalid-argument', `boot mode "${asked}" is none of ${BOOT_MODES.join(', ')}`);
  return mode;
}

/** A template's disk has room for the file system of so much. */
const LARGEST_FORKED_BYTES = WRITABLE_BYTES * 0.95;

/** Whether it can be a fork: a machine that shares folders of the host cannot be saved, and so none can be its template. */
export function canFork(spec: InstanceSpec): boolean {
  return binds(spec).length === 0 && (spec.writableBytes ?? 0) < LARGEST_FORKED_BYTES;
}

/** Whether one that waits can become it: those have a disk of their own already. */
export function canPool(spec: InstanceSpec): boolean {
  return canFork(spec) && spec.writableBytes === undefined;
}

/** What the guest is told of itself: vm.guest. */
export function guestFields(spec: InstanceSpec): FieldRecord {
  const { security, resources } = spec;
  return {
    host: spec.hostname,
    domain: spec.domainname === '' ? undefined : spec.domainname,
    hostname: `${spec.hostname}\n`,
    hosts: hostsFile(spec),
    // As long-lived as the instance itself.
    'machine-id': `${spec.id.slice(0, 32)}\n`,
    'resolv.conf': spec.dns.map((server) => `nameserver ${server}\n`).join(''),
    binds: binds(spec).length > 0,
    mount: mountFields(spec),
    sysctl: Object.entries(spec.sysctls).map(([name, value]) => `${name}=${value}`),
    readonly: spec.readonlyRoot,
    shm: resources.shmBytes,
    rlimit: resources.ulimits.map(formatUlimit),
    capabilities: capabilityMask(security).toString(16),
    privileged: security.privileged,
    no_new_privileges: security.noNewPrivileges,
    pids_max: resources.pidsLimit !== undefined && resources.pidsLimit > 0 ? resources.pidsLimit : undefined,
    masked: security.maskedPaths,
    sealed: security.readonlyPaths,
  };
}

/** The text of /etc/hosts; `peers` are lines of its networks. */
export function hostsFile(spec: InstanceSpec, peers: readonly string[] = []): string {
  const names = [spec.domainname === '' ? '' : `${spec.hostname}.${spec.domainname}`, spec.hostname];
  const extra = spec.extraHosts.map((entry) => {
    const cut = entry.indexOf(':');
    return `${entry.slice(cut + 1)}\t${entry.slice(0, cut)}`;
  });
  const lines = ['127.0.0.1\tlocalhost', '::1\tlocalhost ip6-localhost ip6-loopback'];
  // With an address of its own it is called by that one, as its peers call it.
  const own = peers.some((line) => line.split(/\s+/).includes(spec.hostname))
    ? []
    : [`127.0.1.1\t${names.filter((name) => name !== '').join(' ')}`];
  return [...lines, ...own, ...extra, ...peers, ''].join('\n');
}

/** Outer mounts before those inside them. */
function mountFields(spec: InstanceSpec): string[] {
  const numbers = new Map(binds(spec).map((bind, index) => [bind, index]));
  const depth = (mount: MountSpec) => mount.target.split('/').filter((part) => part !== '').length;
  return [...spec.mounts]
    .sort((a, b) => depth(a) - depth(b))
    .map((mount) => {
      const flags = mount.readonly ? 'ro' : 'rw';
      if (mount.type === 'bind') return `bind ${numbers.get(mount)} ${flags} ${mount.target}`;
      return `tmpfs ${tmpfsOptions(mount)} ${[flags, ...mount.options].join(',')} ${mount.target}`;
    });
}

function tmpfsOptions(mount: Extract<MountSpec, { type: 'tmpfs' }>): string {
  const data = [
    mount.sizeBytes === undefined ? '' : `size=${mount.sizeBytes}`,
    `mode=${(mount.mode ?? 0o1777).toString(8)}`,
    ...mount.options.filter((option) => /^(size|mode|uid|gid|nr_inodes)=/.test(option)),
  ];
  return data.filter((option) => option !== '').join(',');
}

/** As <sys/resource.h> numbers them on x86 and ARM. */
const LIMITS = [
  ...['cpu', 'fsize', 'data', 'stack', 'core', 'rss', 'nproc', 'nofile', 'memlock', 'as', 'locks'],
  ...['sigpending', 'msgqueue', 'nice', 'rtprio', 'rttime'],
];
const UNLIMITED = (1n << 64n) - 1n;

function formatUlimit(limit: UlimitSpec): string {
  const number = LIMITS.indexOf(limit.name);
  if (number < 0) throw new BerthError('invalid-argument', `unknown ulimit: ${limit.name}`);
  const value = (count: number) => (count < 0 ? UNLIMITED : BigInt(count)).toString();
  return `${number} ${value(limit.soft)} ${value(limit.hard)}`;
}

/** A process as the agent starts it. */
export function processFields(process: ProcessSpec): FieldRecord {
  return {
    arg: process.args,
    env: process.env,
    cwd: process.cwd,
    user: process.user,
    group: process.additionalGroups,
    tty: process.tty,
    stdin: process.stdin,
    privileged: process.privileged,
  };
}

/** The main process: vm.main. */
export function mainFields(spec: InstanceSpec): FieldRecord {
  return { ...processFields(spec.process), init: spec.init };
}
