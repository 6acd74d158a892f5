// GET /info: Docker's overview of the daemon, with what each isolation found on this host.

import { availableParallelism, hostname, totalmem } from 'node:os';
import { setTimeout as delay } from 'node:timers/promises';
import { type DriverProbe, ISOLATIONS, type Isolation } from '../../core/index.ts';
import { formatMoment } from '../../wire/index.ts';
import { RUNTIMES } from '../translate/isolation.ts';
import { describeHost, MACHINE } from './host-facts.ts';
import type { Services } from './services.ts';

const PROBE_PATIENCE_MS = 1000;

type Probes = Readonly<Record<Isolation, DriverProbe>>;

export async function info(services: Services) {
  const [host, probes, images] = await Promise.all([
    describeHost(),
    probesSoon(services),
    services.images.list(),
  ]);
  return {
    ...countStates(services),
    ID: 'BERTH',
    Name: hostname(),
    Images: images.length,
    Driver: 'overlay2',
    DriverStatus: driverStatus(probes),
    Plugins: {
      Volume: ['local'],
      Network: ['bridge', 'host', 'null'],
      Authorization: null,
      Log: ['json-file', 'none'],
    },
    ...CAPABILITIES,
    SystemTime: formatMoment(BigInt(Date.now()) * 1_000_000n),
    LoggingDriver: 'json-file',
    CgroupDriver: 'cgroupfs',
    CgroupVersion: host.cgroupVersion,
    KernelVersion: host.kernel,
    OperatingSystem: host.operatingSystem,
    OSVersion: host.osVersion,
    OSType: 'linux',
    Architecture: MACHINE,
    NCPU: availableParallelism(),
    MemTotal: totalmem(),
    DockerRootDir: services.root,
    ServerVersion: services.version,
    Runtimes: Object.fromEntries(Object.keys(RUNTIMES).map((name) => [name, { path: name }])),
    DefaultRuntime: 'container',
    Isolation: 'container',
    SecurityOptions: ['name=seccomp,profile=builtin', 'name=cgroupns'],
    Warnings: warnings(probes),
    ...NOTHING,
  };
}

/**
 * Clients ask for `info` in passing, and finding out whether KVM works takes seconds the first time: who wants to wait
 * for that asks /berth/v1/probes.
 */
async function probesSoon({ engine }: Services): Promise<Probes | undefined> {
  const late = new AbortController();
  const probes = engine.probes();
  try {
    return await Promise.race([probes, delay(PROBE_PATIENCE_MS, undefined, { signal: late.signal })]);
  } finally {
    late.abort();
  }
}

function countStates({ engine }: Services) {
  const views = engine.workloads.list();
  const count = (state: string) => views.filter((view) => view.state === state).length;
  const running = count('running');
  const paused = count('paused');
  return {
    Containers: views.length,
    ContainersRunning: running,
    ContainersPaused: paused,
    ContainersStopped: views.length - running - paused,
  };
}

/** Shown by `docker info` under the storage driver: the one free table it prints. */
function driverStatus(probes: Probes | undefined): readonly (readonly [string, string])[] {
  if (probes === undefined) return ISOLATIONS.map((name) => [`Isolation ${name}`, 'being probed'] as const);
  return Object.entries(probes).flatMap(([isolation, probe]) => [
    [`Isolation ${isolation}`, probe.usable ? 'usable' : 'not usable'] as const,
    ...Object.entries(probe.facts).map(([name, value]) => [` ${isolation} ${name}`, value] as const),
  ]);
}

function warnings(probes: Probes | undefined): readonly string[] | null {
  const found = Object.entries(probes ?? {}).flatMap(([isolation, { probes: list }]) =>
    list
      .filter(({ ok }) => !ok)
      .map(({ name, detail, remedy }) => `${isolation}: ${name}: ${detail}${remedy ? `; ${remedy}` : ''}`),
  );
  return found.length === 0 ? null : found;
}

const CAPABILITIES = {
  MemoryLimit: true,
  SwapLimit: true,
  CpuCfsPeriod: true,
  CpuCfsQuota: true,
  CPUShares: true,
  CPUSet: true,
  PidsLimit: true,
  OomKillDisable: true,
  IPv4Forwarding: true,
  BridgeNfIptables: true,
  BridgeNfIp6tables: true,
  LiveRestoreEnabled: true,
};

/** What Docker has and Berth has none of, in the shapes that clients expect. */
const NOTHING = {
  Debug: false,
  NFd: 0,
  NGoroutines: 0,
  NEventsListener: 0,
  IndexServerAddress: 'https://index.docker.io/v1/',
  RegistryConfig: {
    InsecureRegistryCIDRs: ['127.0.0.0/8'],
    IndexConfigs: {},
    Mirrors: [],
  },
  GenericResources: null,
  HttpProxy: '',
  HttpsProxy: '',
  NoProxy: '',
  Labels: [],
  ExperimentalBuild: false,
  Swarm: {
    NodeID: '',
    NodeAddr: '',
    LocalNodeState: 'inactive',
    ControlAvailable: false,
    Error: '',
    RemoteManagers: null,
  },
  InitBinary: '',
  ContainerdCommit: { ID: '', Expected: '' },
  RuncCommit: { ID: '', Expected: '' },
  InitCommit: { ID: '', Expected: '' },
  CDISpecDirs: null,
};
