// An instance's spec as an OCI runtime configuration. Pure: all that depends on the host is given.

import type {
  DeviceLimit,
  DeviceLimits,
  InstanceSpec,
  ProcessSpec,
  TerminalSize,
  UlimitSpec,
} from '../../core/index.ts';
import type { Identity } from '../../guest/index.ts';
import type { DeviceNumber } from '../../host/block-device.ts';
import { CPU_PERIOD_US } from '../../host/cgroup-limits.ts';
import { capabilitiesOf } from './capabilities.ts';
import { coveredPaths, INIT_PATH, mountsOf, rootPropagation } from './config-mounts.ts';
import type { OciSeccomp } from './seccomp.ts';

/** What this host allows and offers, found out once. */
export interface HostTraits {
  readonly arch: string;
  readonly kernel: string;
  /** Without the CAP_ prefix. */
  readonly capabilities: readonly string[];
  /** Hard limits of this process by OCI name, which a container's may not exceed; empty if it may raise them. */
  readonly hardLimits: ReadonlyMap<string, number>;
  readonly swapLimit: boolean;
  readonly blkioWeight: boolean;
  readonly cgroupVersion: 1 | 2;
}

/** A device node as the container is to have it. */
export interface DeviceNode {
  readonly path: string;
  readonly type: 'c' | 'b';
  readonly major: number;
  readonly minor: number;
  readonly fileMode: number;
  readonly uid: number;
  readonly gid: number;
  readonly permissions: string;
}

export interface ConfigInput {
  readonly spec: InstanceSpec;
  readonly host: HostTraits;
  readonly identity: Identity;
  readonly devices: readonly DeviceNode[];
  /** Number of a disk that a limit is for, by its path. */
  readonly diskNumber: (path: string) => DeviceNumber;
  readonly seccomp?: OciSeccomp;
  /** The filter compiled, base64: spares the runtime the work. */
  readonly seccompBpf?: string;
  readonly size?: TerminalSize;
}

/** The process part: also what exec hands to the runtime. */
export function processConfig(
  spec: InstanceSpec,
  process: ProcessSpec,
  identity: Identity,
  host: HostTraits,
  size?: TerminalSize,
): Record<string, unknown> {
  const security = process.privileged ? { ...spec.security, privileged: true } : spec.security;
  const all = capabilitiesOf(security, host.capabilities);
  // As execve does it: an ordinary user starts with none in effect, and may gain up to the bounding set.
  const own = identity.uid === 0 ? all : [];
  return {
    terminal: process.tty,
    ...(process.tty && size !== undefined ? { consoleSize: { height: size.rows, width: size.columns } } : {}),
    user: { uid: identity.uid, gid: identity.gid, additionalGids: identity.additionalGids },
    args: process.args,
    env: withHome(process.env, identity.home),
    cwd: process.cwd === '' ? '/' : process.cwd,
    capabilities: { bounding: all, effective: own, permitted: own },
    noNewPrivileges: spec.security.noNewPrivileges,
    rlimits: rlimits(spec.resources.ulimits, host.hardLimits),
    ...(spec.resources.oomScoreAdj === undefined ? {} : { oomScoreAdj: spec.resources.oomScoreAdj }),
  };
}

function withHome(env: readonly string[], home: string): readonly string[] {
  return env.some((entry) => entry.startsWith('HOME=')) ? env : [...env, `HOME=${home}`];
}

/** The kernel's "no limit" is 2^64-1, which no JavaScript number is; the type's declaration lags behind the engine. */
const RLIM_INFINITY = (JSON as unknown as { rawJSON(text: string): unknown }).rawJSON('18446744073709551615');

/** -1 is unlimited; nothing is raised above what the host allows us. */
function rlimits(ulimits: readonly UlimitSpec[], hardLimits: ReadonlyMap<string, number>) {
  const value = (limit: number) => (limit < 0 ? Number.POSITIVE_INFINITY : limit);
  const plain = (limit: number) => (Number.isFinite(limit) ? limit : RLIM_INFINITY);
  return ulimits.map((ulimit) => {
    const type = `RLIMIT_${ulimit.name.toUpperCase()}`;
    const hard = Math.min(value(ulimit.hard), hardLimits.get(type) ?? Number.POSITIVE_INFINITY);
    return { type, hard: plain(hard), soft: plain(Math.min(value(ulimit.soft), hard)) };
  });
}

interface Namespace {
  readonly type: string;
  readonly path?: string;
}

function namespaces(spec: InstanceSpec): Namespace[] {
  return [
    { type: 'mount' },
    { type: 'uts' },
    ...(spec.network === 'private' ? [{ type: 'network', path: `${spec.dir}/run/netns` }] : []),
    ...(spec.pidMode === 'private' ? [{ type: 'pid' }] : []),
    ...(spec.ipc === 'private' ? [{ type: 'ipc' }] : []),
    ...(spec.security.privileged ? [] : [{ type: 'cgroup' }]),
  ];
}

function sysctls(spec: InstanceSpec): Record<string, string> {
  const network = spec.network === 'private' && !spec.security.privileged;
  return {
    // In a network of its own, low ports and ping are nobody else's business.
    ...(network
      ? { 'net.ipv4.ip_unprivileged_port_start': '0', 'net.ipv4.ping_group_range': '0 2147483647' }
      : {}),
    ...(spec.domainname === '' ? {} : { 'kernel.domainname': spec.domainname }),
    ...spec.sysctls,
  };
}

interface DeviceRule {
  readonly allow: boolean;
  readonly type?: string;
  readonly major?: number;
  readonly minor?: number;
  readonly access: string;
}

/** null zero full tty random urandom console ptmx, every pts; any node may be made, none other opened. */
const DEVICE_RULES: readonly DeviceRule[] = [
  { allow: false, access: 'rwm' },
  { allow: true, type: 'c', access: 'm' },
  { allow: true, type: 'b', access: 'm' },
  ...[3, 5, 7, 8, 9].map((minor) => ({ allow: true, type: 'c', major: 1, minor, access: 'rwm' })),
  ...[0, 1, 2].map((minor) => ({ allow: true, type: 'c', major: 5, minor, access: 'rwm' })),
  { allow: true, type: 'c', major: 136, access: 'rwm' },
];

function deviceRules(spec: InstanceSpec, devices: readonly DeviceNode[]): readonly DeviceRule[] {
  if (spec.security.privileged) return [{ allow: true, access: 'rwm' }];
  const asked = devices.map(({ type, major, minor, permissions }) => ({
    allow: true,
    type,
    major,
    minor,
    access: permissions,
  }));
  return [...DEVICE_RULES, ...asked];
}

/** Weights are wishes, left out where no scheduler weighs; rates are limits, and must hold. */
function deviceConfig(limits: DeviceLimits, host: HostTraits, diskNumber: ConfigInput['diskNumber']) {
  const list = (items: readonly DeviceLimit[] | undefined, name: 'rate' | 'weight') =>
    items?.map(({ path, value }) => ({ ...diskNumber(path), [name]: value }));
  return {
    throttleReadBpsDevice: list(limits.deviceReadBps, 'rate'),
    throttleWriteBpsDevice: list(limits.deviceWriteBps, 'rate'),
    throttleReadIOPSDevice: list(limits.deviceReadIops, 'rate'),
    throttleWriteIOPSDevice: list(limits.deviceWriteIops, 'rate'),
    weightDevice: host.blkioWeight ? list(limits.deviceWeights, 'weight') : undefined,
  };
}

/** Limits in the runtime's words. What this kernel cannot limit is left out rather than failing the start. */
function resourcesConfig({ spec, host, diskNumber }: ConfigInput): Record<string, unknown> {
  const limits = spec.resources;
  const memory = {
    limit: limits.memoryBytes,
    swap: host.swapLimit ? limits.memorySwapBytes : undefined,
    reservation: limits.memoryReservationBytes,
    disableOOMKiller: limits.oomKillDisable && host.cgroupVersion === 1 ? true : undefined,
  };
  const cpu = {
    shares: limits.cpuShares,
    quota: limits.cpus === undefined ? undefined : Math.round(limits.cpus * CPU_PERIOD_US),
    period: limits.cpus === undefined ? undefined : CPU_PERIOD_US,
    cpus: limits.cpusetCpus,
    mems: limits.cpusetMems,
  };
  const pids = limits.pidsLimit !== undefined && limits.pidsLimit > 0 ? { limit: limits.pidsLimit } : {};
  const blockIO = {
    ...(host.blkioWeight ? { weight: limits.blkioWeight } : {}),
    ...deviceConfig(limits, host, diskNumber),
  };
  return Object.fromEntries(
    Object.entries({ memory, cpu, pids, blockIO }).filter(([, part]) =>
      Object.values(part).some((value) => value !== undefined),
    ),
  );
}

/** crun takes a compiled filter, base64, by this and then leaves linux.seccomp alone. */
export const BPF_ANNOTATION = 'run.oci.seccomp_bpf_data';

/** Annotations that change what the runtime does are ours alone to set. */
const RESERVED = ['run.oci.', 'org.systemd.', 'org.criu.', 'module.'];

function annotations(input: ConfigInput): Record<string, string> {
  const passed = Object.entries(input.spec.annotations).filter(
    ([key]) => !RESERVED.some((prefix) => key.startsWith(prefix)),
  );
  const bpf = input.seccompBpf === undefined ? {} : { [BPF_ANNOTATION]: input.seccompBpf };
  return { ...Object.fromEntries(passed), ...bpf };
}

/** The process as it is executed: under init, if the spec asks for one. */
function mainProcess(spec: InstanceSpec): ProcessSpec {
  return spec.init ? { ...spec.process, args: [INIT_PATH, '--', ...spec.process.args] } : spec.process;
}

/** The text of config.json. */
export function ociConfig(input: ConfigInput): string {
  const { spec, host, identity, devices } = input;
  return JSON.stringify({
    ociVersion: '1.0.2',
    process: processConfig(spec, mainProcess(spec), identity, host, input.size),
    root: { path: `${spec.dir}/rootfs`, readonly: spec.readonlyRoot },
    hostname: spec.hostname,
    mounts: mountsOf(spec),
    annotations: annotations(input),
    linux: {
      namespaces: namespaces(spec),
      cgroupsPath: spec.cgroupPath,
      resources: { devices: deviceRules(spec, devices), ...resourcesConfig(input) },
      devices: devices.map(({ permissions: _, ...node }) => node),
      sysctl: sysctls(spec),
      ...(input.seccomp === undefined ? {} : { seccomp: input.seccomp }),
      ...coveredPaths(spec),
      rootfsPropagation: rootPropagation(spec),
    },
  });
}
