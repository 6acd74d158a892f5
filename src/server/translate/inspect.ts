// GET /containers/{id}/json: WorkloadView -> Docker's full description.

import type { HealthStatus, WorkloadView } from '../../core/index.ts';
import type { Networks, Workloads } from '../../engine/api.ts';
import { NO_TIME } from '../../wire/index.ts';
import { NOWHERE, networksOf } from './endpoints.ts';
import { toHostConfig } from './host-config.ts';
import { fromMountViews } from './mounts.ts';
import { toPorts } from './publishing.ts';

export interface Sizes {
  readonly SizeRw: number;
  readonly SizeRootFs: number;
}

/** What the firewall counted, by interface. */
export type Counters = Awaited<ReturnType<Workloads['networkCounters']>>;

export function toInspect(view: WorkloadView, networks: Networks, sizes?: Sizes, counters?: Counters) {
  return {
    Id: view.id,
    Created: view.createdAt,
    Path: view.path,
    Args: view.args,
    State: toState(view),
    Image: view.imageId,
    ResolvConfPath: '',
    HostnamePath: '',
    HostsPath: '',
    LogPath: view.logPath,
    Name: `/${view.name}`,
    RestartCount: view.restartCount,
    Driver: 'overlay2',
    Platform: 'linux',
    MountLabel: '',
    ProcessLabel: '',
    AppArmorProfile: '',
    ExecIDs: view.execIds.length === 0 ? null : view.execIds,
    HostConfig: toHostConfig(view.spec),
    GraphDriver: { Data: null, Name: 'overlay2' },
    ...sizes,
    Mounts: fromMountViews(view.mounts),
    Config: toConfig(view),
    NetworkSettings: toNetworkSettings(view, networks, counters),
  };
}

/** Why a state cannot be told, and what can be done; Docker has no word for it but `dead`. */
export function describeUnknown({ stateReason }: WorkloadView): string {
  return `${stateReason ?? 'no reason was given'}; stop or kill it, or remove it by force, if it stays so`;
}

/** Docker's word for the state. */
export function statusWord(view: WorkloadView): string {
  if (view.removing) return 'removing';
  if (view.restarting) return 'restarting';
  return view.state === 'unknown' ? 'dead' : view.state;
}

function toState(view: WorkloadView) {
  const running = view.state === 'running' || view.state === 'paused';
  return {
    Status: statusWord(view),
    Running: running || view.restarting,
    Paused: view.state === 'paused',
    Restarting: view.restarting,
    OOMKilled: view.oomKilled,
    Dead: view.state === 'unknown',
    Pid: running ? view.pid : 0,
    ExitCode: running ? 0 : (view.exit?.code ?? 0),
    Error: toError(view),
    StartedAt: view.startedAt ?? NO_TIME,
    FinishedAt: view.exit?.finishedAt ?? NO_TIME,
    ...(view.health === undefined ? {} : { Health: toHealth(view.health) }),
  };
}

function toError(view: WorkloadView): string {
  if (view.state === 'unknown') return `Unknown: ${describeUnknown(view)}`;
  return view.error || (view.exit?.message ?? '') || (view.stateReason ?? '');
}

function toHealth(health: HealthStatus) {
  return {
    Status: health.status,
    FailingStreak: health.failingStreak,
    Log: health.log.map(({ start, end, exitCode, output }) => ({
      Start: start,
      End: end,
      ExitCode: exitCode,
      Output: output,
    })),
  };
}

function toConfig(view: WorkloadView) {
  const { spec } = view;
  const check = view.healthCheck;
  return {
    Hostname: view.hostname,
    Domainname: spec.domainname,
    User: view.user,
    AttachStdin: spec.attachStdin,
    AttachStdout: spec.attachStdout,
    AttachStderr: spec.attachStderr,
    ...(view.exposedPorts.length === 0 ? {} : { ExposedPorts: nameSet(view.exposedPorts) }),
    Tty: spec.tty,
    OpenStdin: spec.openStdin,
    StdinOnce: spec.stdinOnce,
    Env: view.env,
    Cmd: view.command.length === 0 ? null : view.command,
    Image: spec.image,
    Volumes: volumesOf(view),
    WorkingDir: view.workingDir === '/' && spec.workingDir === undefined ? '' : view.workingDir,
    Entrypoint: view.entrypoint.length === 0 ? null : view.entrypoint,
    OnBuild: null,
    Labels: view.labels,
    StopSignal: view.stopSignal,
    ...(spec.stopTimeoutSeconds === undefined ? {} : { StopTimeout: spec.stopTimeoutSeconds }),
    ...(check === undefined
      ? {}
      : {
          Healthcheck: {
            Test: check.test,
            Interval: check.intervalMs * 1e6,
            Timeout: check.timeoutMs * 1e6,
            StartPeriod: check.startPeriodMs * 1e6,
            StartInterval: check.startIntervalMs * 1e6,
            Retries: check.retries,
          },
        }),
  };
}

function volumesOf(view: WorkloadView) {
  const targets = view.spec.mounts.flatMap((mount) =>
    mount.type === 'volume' && mount.name === undefined ? [mount.target] : [],
  );
  return targets.length === 0 ? null : nameSet(targets);
}

function nameSet(names: readonly string[]): Readonly<Record<string, object>> {
  return Object.fromEntries(names.map((name) => [name, {}]));
}

/** What Docker says of the default network outside of `Networks`, too. */
const DEFAULT_ENDPOINT = [
  'EndpointID',
  'Gateway',
  'GlobalIPv6Address',
  'GlobalIPv6PrefixLen',
  'IPAddress',
  'IPPrefixLen',
  'IPv6Gateway',
  'MacAddress',
] as const;

function toNetworkSettings(view: WorkloadView, networks: Networks, counters?: Counters) {
  const all = networksOf(view, networks, counters);
  const endpoint = all['bridge'] ?? NOWHERE;
  return {
    ...{ Bridge: '', SandboxID: '', SandboxKey: '', Ports: toPorts(view), HairpinMode: false },
    ...{ LinkLocalIPv6Address: '', LinkLocalIPv6PrefixLen: 0 },
    ...{ SecondaryIPAddresses: null, SecondaryIPv6Addresses: null },
    ...Object.fromEntries(DEFAULT_ENDPOINT.map((field) => [field, endpoint[field]])),
    Networks: all,
  };
}
