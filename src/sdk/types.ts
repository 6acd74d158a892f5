// What the SDK sends and receives, in Docker's JSON. Where wire's types say what the daemon understood, with all
// defaults filled in, these say what a client may send; shapes that are the same in both are wire's.

import type {
  DeviceRequest,
  ResourcesRequest,
  RestartPolicyRequest,
  UlimitRequest,
} from '../wire/container.ts';

export type { DeviceRequest, ResourcesRequest, RestartPolicyRequest, UlimitRequest };

export type Labels = Readonly<Record<string, string>>;
export type Filters = Readonly<Record<string, readonly string[]>>;

export interface MountRequest {
  Type: 'bind' | 'volume' | 'tmpfs';
  Source?: string;
  Target: string;
  ReadOnly?: boolean;
  BindOptions?: { Propagation?: string };
  VolumeOptions?: { NoCopy?: boolean; Labels?: Record<string, string>; Subpath?: string };
  TmpfsOptions?: { SizeBytes?: number; Mode?: number };
}

export interface HostConfigRequest extends ResourcesRequest {
  Isolation?: string;
  /** Rows and columns of the terminal at its start. */
  ConsoleSize?: [number, number];
  Binds?: string[];
  Mounts?: MountRequest[];
  Tmpfs?: Record<string, string>;
  NetworkMode?: string;
  PortBindings?: Record<string, { HostIp: string; HostPort: string }[]>;
  PublishAllPorts?: boolean;
  RestartPolicy?: RestartPolicyRequest;
  AutoRemove?: boolean;
  ContainerIDFile?: string;
  LogConfig?: { Type: string; Config: Record<string, string> };
  CapAdd?: string[];
  CapDrop?: string[];
  SecurityOpt?: string[];
  Privileged?: boolean;
  ReadonlyRootfs?: boolean;
  StorageOpt?: Record<string, string>;
  Ulimits?: UlimitRequest[];
  ShmSize?: number;
  Sysctls?: Record<string, string>;
  Devices?: DeviceRequest[];
  GroupAdd?: string[];
  ExtraHosts?: string[];
  Dns?: string[];
  IpcMode?: string;
  PidMode?: string;
  Init?: boolean;
  Annotations?: Record<string, string>;
  OomScoreAdj?: number;
  OomKillDisable?: boolean;
}

export interface HealthcheckRequest {
  Test?: string[];
  /** Nanoseconds, as the other times here. */
  Interval?: number;
  Timeout?: number;
  StartPeriod?: number;
  StartInterval?: number;
  Retries?: number;
}

export interface CreateRequest {
  Image: string;
  Cmd?: string[];
  Entrypoint?: string[];
  Env?: string[];
  WorkingDir?: string;
  User?: string;
  Hostname?: string;
  Domainname?: string;
  Tty?: boolean;
  OpenStdin?: boolean;
  StdinOnce?: boolean;
  AttachStdin?: boolean;
  AttachStdout?: boolean;
  AttachStderr?: boolean;
  Labels?: Record<string, string>;
  StopSignal?: string;
  StopTimeout?: number;
  ExposedPorts?: Record<string, object>;
  Volumes?: Record<string, object>;
  Healthcheck?: HealthcheckRequest;
  HostConfig?: HostConfigRequest;
  NetworkingConfig?: { EndpointsConfig: Record<string, EndpointRequest> };
}

export interface ContainerSummary {
  Id: string;
  Names: string[];
  Image: string;
  ImageID: string;
  Command: string;
  Created: number;
  State: string;
  Status: string;
  Ports: { IP?: string; PrivatePort: number; PublicPort?: number; Type: string }[];
  Labels: Labels;
  SizeRw?: number;
  SizeRootFs?: number;
  HostConfig?: { NetworkMode?: string; Isolation?: string };
  NetworkSettings?: { Networks?: Record<string, unknown> };
  Mounts?: { Type: string; Name?: string; Source: string; Destination: string }[];
}

export interface ContainerDetails {
  Id: string;
  Name: string;
  Created: string;
  Path: string;
  Args: string[];
  Image: string;
  LogPath: string;
  RestartCount: number;
  State: {
    Status: string;
    Running: boolean;
    Paused: boolean;
    OOMKilled: boolean;
    Pid: number;
    ExitCode: number;
    Error: string;
    StartedAt: string;
    FinishedAt: string;
    Health?: { Status: string; FailingStreak: number; Log: unknown[] };
  };
  Config: {
    Image: string;
    Tty: boolean;
    OpenStdin: boolean;
    StopSignal?: string;
    Env: string[] | null;
    Labels: Labels;
    Hostname: string;
    User: string;
  };
  HostConfig: HostConfigRequest;
  Mounts: { Type: string; Name?: string; Source: string; Destination: string; Mode: string; RW: boolean }[];
  NetworkSettings: {
    Ports?: Record<string, { HostIp: string; HostPort: string }[] | null>;
    Networks?: object;
  };
}

export interface WaitAnswer {
  StatusCode: number;
  Error?: { Message: string } | null;
}

export interface TopAnswer {
  Titles: string[];
  Processes: string[][];
}

export interface CpuFigures {
  cpu_usage: { total_usage: number };
  system_cpu_usage?: number;
  online_cpus?: number;
}

export interface StatsSample {
  id: string;
  name: string;
  read: string;
  cpu_stats: CpuFigures;
  precpu_stats: CpuFigures;
  memory_stats: { usage?: number; limit?: number; stats?: Record<string, number> };
  pids_stats: { current?: number; limit?: number };
  blkio_stats: { io_service_bytes_recursive?: { op: string; value: number }[] | null };
  networks?: Record<string, { rx_bytes: number; tx_bytes: number }>;
  /** Only where the kernel measures it: stall times of the workload, by what it wanted. */
  pressure_stats?: Partial<Record<'cpu' | 'memory' | 'io', { some: { avg10: number; totalUs: number } }>>;
}

export interface PathStat {
  name: string;
  size: number;
  /** Go's os.FileMode. */
  mode: number;
  mtime: string;
  linkTarget: string;
}

export interface Change {
  Kind: 0 | 1 | 2;
  Path: string;
}

export interface PruneAnswer {
  ContainersDeleted?: string[] | null;
  VolumesDeleted?: string[] | null;
  ImagesDeleted?: { Untagged?: string; Deleted?: string }[] | null;
  SpaceReclaimed: number;
}

export interface ImageSummary {
  Id: string;
  RepoTags: string[] | null;
  RepoDigests: string[] | null;
  Created: number;
  Size: number;
  Labels: Labels | null;
  Containers: number;
}

export interface ImageHistoryEntry {
  Id: string;
  Created: number;
  CreatedBy: string;
  Tags: string[] | null;
  Size: number;
  Comment: string;
}

/** One line of progress of a pull, load or import. */
export interface ProgressMessage {
  status?: string;
  id?: string;
  stream?: string;
  progressDetail?: { current?: number; total?: number };
  error?: string;
  errorDetail?: { message?: string };
  aux?: unknown;
}

export interface VolumeDetails {
  Name: string;
  Driver: string;
  Mountpoint: string;
  CreatedAt: string;
  Labels: Labels | null;
  Scope: string;
  Options?: Labels | null;
  /** Of a volume with a size limit. */
  Status?: { SizeBytes: number; UsedBytes: number };
  UsageData?: { Size: number; RefCount: number };
}

/** What was found out about one thing. */
export interface Finding {
  name: string;
  ok: boolean;
  detail: string;
  /** What to do, when something is to be done. */
  remedy?: string;
}

/** What a workload wants of a network. */
export interface EndpointRequest {
  Aliases?: string[];
  IPAMConfig?: { IPv4Address?: string; IPv6Address?: string };
  MacAddress?: string;
}

export interface NetworkCreateRequest {
  Name: string;
  Driver?: string;
  Internal?: boolean;
  EnableIPv6?: boolean;
  IPAM?: { Config: { Subnet?: string; Gateway?: string; IPRange?: string }[] };
  Options?: Record<string, string>;
  Labels?: Record<string, string>;
}

export interface NetworkDetails {
  Name: string;
  Id: string;
  Created: string;
  Driver: string;
  Scope: string;
  IPAM: { Config: { Subnet?: string; Gateway?: string }[] | null };
  Internal: boolean;
  EnableIPv6: boolean;
  Labels: Labels | null;
  Containers: Record<
    string,
    { Name: string; IPv4Address: string; IPv6Address: string; MacAddress: string }
  > | null;
}

export interface ExecRequest {
  Cmd: string[];
  AttachStdin?: boolean;
  AttachStdout?: boolean;
  AttachStderr?: boolean;
  Tty?: boolean;
  Detach?: boolean;
  DetachKeys?: string;
  Env?: string[];
  WorkingDir?: string;
  User?: string;
  Privileged?: boolean;
}

export interface ExecDetails {
  ID: string;
  Running: boolean;
  ExitCode: number | null;
  Pid: number;
  ContainerID: string;
}

export interface EventMessage {
  Type: string;
  Action: string;
  Actor: { ID: string; Attributes: Labels };
  time: number;
  timeNano: number;
}

export interface VersionAnswer {
  Version: string;
  ApiVersion: string;
  MinAPIVersion: string;
  Os: string;
  Arch: string;
  KernelVersion: string;
  GitCommit: string;
  GoVersion: string;
  BuildTime: string;
  Components?: { Name: string; Version: string; Details?: Labels }[];
}

export type InfoAnswer = Readonly<Record<string, unknown>>;

export interface DiskUsageAnswer {
  LayersSize: number;
  Images: (ImageSummary & { SharedSize?: number })[] | null;
  Containers: (ContainerSummary & { SizeRw?: number })[] | null;
  Volumes: VolumeDetails[] | null;
}

export interface IsolationProbe {
  usable: boolean;
  probes: Finding[];
  facts: Labels;
}

/** By the isolation's name. */
export type ProbesAnswer = Readonly<Record<string, IsolationProbe>>;
