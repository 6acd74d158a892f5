// A workload: what the user asked for, durably. An instance is one incarnation of it (core/driver.ts).

import type { TerminalSize } from './driver.ts';
import type { Endpoint, NetworkAttachment, NetworkRate, PortRequest, PublishedPort } from './network.ts';
import type { DeviceSpec, Isolation, LogSpec, MountSpec, ResourceSpec, SecuritySpec } from './spec.ts';
import type { ExitStatus, State } from './state.ts';

export interface RestartPolicy {
  readonly name: 'no' | 'always' | 'unless-stopped' | 'on-failure';
  /** on-failure only; 0: without limit. */
  readonly maximumRetryCount: number;
}

export interface HealthSpec {
  /** Docker's form: ['NONE'], ['CMD', …] or ['CMD-SHELL', command]. */
  readonly test: readonly string[];
  readonly intervalMs: number;
  readonly timeoutMs: number;
  readonly startPeriodMs: number;
  readonly startIntervalMs: number;
  readonly retries: number;
}

/** A named or anonymous volume mounted into a workload; the engine resolves it to a bind before a driver sees it. */
export interface VolumeMount {
  readonly type: 'volume';
  /** Absent: anonymous, named by the engine. */
  readonly name?: string;
  readonly target: string;
  readonly readonly: boolean;
  readonly noCopy: boolean;
  /** Only this part of the volume: a relative path of what is there when the workload starts. */
  readonly subpath?: string;
}

/** What a client asked for: overrides are absent where the image's own value is to be used. */
export interface WorkloadSpec {
  readonly image: string;
  readonly isolation: Isolation;
  readonly entrypoint?: readonly string[];
  readonly command?: readonly string[];
  /** NAME=value sets, NAME alone unsets what the image sets. */
  readonly env: readonly string[];
  readonly workingDir?: string;
  readonly user?: string;
  readonly additionalGroups: readonly string[];
  readonly hostname?: string;
  readonly domainname: string;
  readonly tty: boolean;
  /** The size with which the terminal is made. */
  readonly consoleSize?: TerminalSize;
  readonly openStdin: boolean;
  readonly stdinOnce: boolean;
  readonly attachStdin: boolean;
  readonly attachStdout: boolean;
  readonly attachStderr: boolean;
  readonly labels: Readonly<Record<string, string>>;
  readonly stopSignal?: string;
  readonly stopTimeoutSeconds?: number;
  readonly health?: HealthSpec;
  readonly exposedPorts: readonly string[];
  readonly autoRemove: boolean;
  readonly restart: RestartPolicy;
  /** none, host, container:ID, or the network of its first interface; default: the network bridge. */
  readonly networkMode: string;
  /** More about the network of `networkMode`, and further ones. */
  readonly networks: readonly NetworkAttachment[];
  readonly ports: readonly PortRequest[];
  /** All exposed ports, too, on any free ones of the host. */
  readonly publishAllPorts: boolean;
  readonly rate?: NetworkRate;
  /** Whom it may reach and who may reach it: text of the policy language. */
  readonly policy?: string;
  readonly ipc: 'private' | 'host';
  readonly pidMode: 'private' | 'host';
  readonly mounts: readonly (MountSpec | VolumeMount)[];
  readonly devices: readonly DeviceSpec[];
  readonly sysctls: Readonly<Record<string, string>>;
  readonly extraHosts: readonly string[];
  readonly dns: readonly string[];
  readonly resources: ResourceSpec;
  readonly security: SecuritySpec;
  readonly readonlyRoot: boolean;
  /** Most that the writable layer holds. */
  readonly writableBytes?: number;
  readonly init: boolean;
  readonly log: LogSpec;
  readonly annotations: Readonly<Record<string, string>>;
}

export interface HealthStatus {
  readonly status: 'starting' | 'healthy' | 'unhealthy';
  readonly failingStreak: number;
  readonly log: readonly {
    readonly start: string;
    readonly end: string;
    readonly exitCode: number;
    readonly output: string;
  }[];
}

/** A workload as it is now: a snapshot, safe to keep. */
export interface WorkloadView {
  readonly id: string;
  /** Without a leading slash. */
  readonly name: string;
  readonly createdAt: string;
  readonly spec: WorkloadSpec;
  readonly imageId: string;
  /** argv[0] and the rest as they will be executed, the image's defaults merged in. */
  readonly path: string;
  readonly args: readonly string[];
  /** Entrypoint and command that `path` and `args` are made of. */
  readonly entrypoint: readonly string[];
  readonly command: readonly string[];
  /** The image's configuration merged with the spec's overrides. */
  readonly env: readonly string[];
  readonly workingDir: string;
  readonly user: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly hostname: string;
  readonly stopSignal: string;
  readonly state: State;
  readonly stateReason?: string;
  readonly restarting: boolean;
  readonly removing: boolean;
  readonly pid: number;
  readonly startedAt?: string;
  /** Whether the memory limit has made the kernel kill a process of the current or last run. */
  readonly oomKilled: boolean;
  readonly exit?: ExitStatus;
  /** Why the last start failed. */
  readonly error: string;
  readonly restartCount: number;
  readonly health?: HealthStatus;
  /** The health check in force: the spec's, or else the image's. */
  readonly healthCheck?: HealthSpec;
  readonly exposedPorts: readonly string[];
  readonly endpoints: readonly Endpoint[];
  /** Of the current or last run. */
  readonly published: readonly PublishedPort[];
  readonly mounts: readonly MountView[];
  readonly logPath: string;
  readonly execIds: readonly string[];
}

export interface MountView {
  readonly type: 'bind' | 'volume' | 'tmpfs';
  readonly name?: string;
  readonly source: string;
  readonly target: string;
  readonly readonly: boolean;
  readonly propagation: string;
}

/** Something that happened, in Docker's vocabulary of actions. */
export interface BerthEvent {
  readonly type: 'container' | 'image' | 'volume' | 'network' | 'daemon';
  readonly action: string;
  readonly actor: { readonly id: string; readonly attributes: Readonly<Record<string, string>> };
  /** Nanoseconds since the epoch. */
  readonly timeNano: bigint;
}

/** A specification that asks for nothing: no network, no mounts, no limits, the defaults of each isolation. */
export const PLAIN_SPEC: Omit<WorkloadSpec, 'image' | 'isolation'> = {
  env: [],
  additionalGroups: [],
  domainname: '',
  labels: {},
  tty: false,
  openStdin: false,
  stdinOnce: false,
  attachStdin: false,
  attachStdout: false,
  attachStderr: false,
  exposedPorts: [],
  autoRemove: false,
  restart: { name: 'no', maximumRetryCount: 0 },
  networkMode: 'none',
  networks: [],
  ports: [],
  publishAllPorts: false,
  extraHosts: [],
  dns: [],
  ipc: 'private',
  pidMode: 'private',
  mounts: [],
  devices: [],
  sysctls: {},
  annotations: {},
  resources: { ulimits: [], shmBytes: 64 << 20, oomKillDisable: false },
  security: { privileged: false, capAdd: [], capDrop: [], noNewPrivileges: false, seccomp: 'default' },
  readonlyRoot: false,
  init: false,
  log: { driver: 'json-file', maxFiles: 1 },
};
