// What the engine offers to the rooms above it (server, compare). The server translates Docker's JSON to and from
// these; it never sees a driver. References are a name, an id or an unambiguous prefix of an id; an unknown one fails
// with `not-found` and Docker's wording: `No such container: X`.

import type { Readable } from 'node:stream';
import type {
  AttachOptions,
  BerthEvent,
  CommitOptions,
  DriverFigures,
  DriverProbe,
  ExitStatus,
  FileChange,
  FileStat,
  Image,
  ImageRunConfig,
  ImagesInUse,
  InstanceStats,
  Isolation,
  Network,
  NetworkAttachment,
  NetworkFigures,
  ProcessIo,
  ProcessTable,
  ResourceSpec,
  RestartPolicy,
  TerminalSize,
  WorkloadSpec,
  WorkloadView,
  WriteOptions,
} from '../core/index.ts';
import type { CreateNetworkOptions, EndpointCounters, Finding } from '../network/index.ts';
import type { StartFigures } from './figures/starts.ts';

export interface Workloads {
  /** `name` absent: a readable random one. Warnings are sentences for people. */
  create(
    spec: WorkloadSpec,
    name?: string,
  ): Promise<{ readonly id: string; readonly warnings: readonly string[] }>;
  /** Newest first. */
  list(): readonly WorkloadView[];
  get(reference: string): WorkloadView;
  /** As `get`, once its supervisor has answered a daemon that just started, or has failed to for the first time. */
  inspect(reference: string): Promise<WorkloadView>;
  /** Resolves to false when it ran already. */
  start(reference: string): Promise<boolean>;
  /** Signal, grace, kill. Resolves to false when it did not run. */
  stop(
    reference: string,
    options?: { readonly signal?: string; readonly timeoutSeconds?: number },
  ): Promise<boolean>;
  restart(
    reference: string,
    options?: { readonly signal?: string; readonly timeoutSeconds?: number },
  ): Promise<void>;
  kill(reference: string, signal?: string): Promise<void>;
  pause(reference: string): Promise<void>;
  resume(reference: string): Promise<void>;
  rename(reference: string, name: string): Promise<void>;
  update(reference: string, change: WorkloadUpdate): Promise<{ readonly warnings: readonly string[] }>;
  remove(reference: string, options: { readonly force: boolean; readonly volumes: boolean }): Promise<void>;
  /** Docker's conditions; `removed` resolves after removal with the last exit status. Must be armed before the promise is returned. */
  wait(
    reference: string,
    condition: 'not-running' | 'next-exit' | 'removed',
    signal?: AbortSignal,
  ): Promise<ExitStatus>;
  attach(reference: string, options: AttachOptions): Promise<ProcessIo>;
  resize(reference: string, size: TerminalSize): Promise<void>;
  top(reference: string, psArgs: readonly string[]): Promise<ProcessTable>;
  stats(reference: string): Promise<InstanceStats>;
  /** What its interfaces carried, by name; none when it does not run. */
  networkFigures(reference: string): Promise<ReadonlyMap<string, NetworkFigures>>;
  /** What the firewall counted of it, by interface. */
  networkCounters(reference: string): Promise<ReadonlyMap<string, EndpointCounters>>;
  logs(reference: string, options: LogOptions): Promise<AsyncIterable<LogEntry>>;
  changes(reference: string): Promise<readonly FileChange[]>;
  statPath(reference: string, path: string): Promise<FileStat>;
  readArchive(reference: string, path: string): Promise<{ readonly stat: FileStat; readonly tar: Readable }>;
  writeArchive(reference: string, path: string, tar: Readable, options: WriteOptions): Promise<void>;
  /** A tar of the whole root file system. */
  export(reference: string): Promise<Readable>;
  /** An image of its file system as it is now, running or not. */
  commit(reference: string, request: CommitRequest): Promise<Image>;
  prune(
    filter: (view: WorkloadView) => boolean,
  ): Promise<{ readonly removed: readonly string[]; readonly reclaimedBytes: number }>;
  /** Bytes in the writable layer. */
  writableBytes(reference: string): Promise<number>;
}

export interface CommitRequest extends Omit<CommitOptions, 'createdBy' | 'config'> {
  /** Halt a running container meanwhile; a VM goes on. */
  readonly pause: boolean;
  /** In place of what the workload runs with. */
  readonly config?: ImageRunConfig;
}

export interface WorkloadUpdate {
  /** Only the members given change. */
  readonly resources: Partial<ResourceSpec>;
  readonly restart?: RestartPolicy;
}

export interface LogOptions {
  readonly stdout: boolean;
  readonly stderr: boolean;
  readonly follow: boolean;
  /** Last n lines; absent: all. */
  readonly tail?: number;
  /** Nanoseconds since the epoch. */
  readonly since?: bigint;
  readonly until?: bigint;
  readonly signal?: AbortSignal;
}

export interface LogEntry {
  readonly stream: 1 | 2;
  /** RFC 3339 with nanoseconds. */
  readonly time: string;
  /** With its line feed, if it had one. */
  readonly line: string;
}

export interface ExecSpec {
  readonly args: readonly string[];
  readonly env: readonly string[];
  readonly workingDir?: string;
  readonly user?: string;
  readonly tty: boolean;
  readonly privileged: boolean;
  readonly attachStdin: boolean;
  readonly attachStdout: boolean;
  readonly attachStderr: boolean;
  readonly detachKeys: string;
}

export interface ExecView {
  readonly id: string;
  readonly workloadId: string;
  readonly spec: ExecSpec;
  readonly running: boolean;
  readonly pid: number;
  /** Absent until it ended. */
  readonly exitCode?: number;
}

export interface Execs {
  create(reference: string, spec: ExecSpec): Promise<string>;
  /** Fails as `start` would for an exec that is not to be started now. */
  checkStart(id: string): void;
  /** Fails with `not-found` (`No such exec instance: X`) or `conflict` when it has been started. */
  start(id: string, size?: TerminalSize): Promise<ProcessIo>;
  get(id: string): ExecView;
  resize(id: string, size: TerminalSize): Promise<void>;
}

/** A kept running state. */
export interface Checkpoint {
  readonly id: string;
  readonly name: string;
  readonly createdAt: string;
  /** What it was captured of, which may be gone. */
  readonly workloadId: string;
  readonly workloadName: string;
  readonly image: string;
  /** How long that stood still. */
  readonly pauseMs: number;
  readonly sizeBytes: number;
}

export interface CopyOptions {
  /** How many; default 1. */
  readonly count?: number;
  /** The name of the only one, or what the names of several begin with; default: the source's. */
  readonly name?: string;
}

/** Running states, of isolations that can capture them; of others every call fails with `unsupported` and says what to do. */
export interface Checkpoints {
  create(reference: string, options?: { readonly name?: string }): Promise<Checkpoint>;
  /** Newest first. */
  list(): readonly Checkpoint[];
  get(reference: string): Checkpoint;
  remove(reference: string): Promise<void>;
  /** New workloads that go on where the checkpoint was taken: their ids, when all run; on failure none is left. */
  restore(reference: string, options?: CopyOptions): Promise<readonly string[]>;
  /** The same straight from a running workload, which goes on. */
  fork(
    reference: string,
    options?: CopyOptions,
  ): Promise<{ readonly ids: readonly string[]; readonly pauseMs: number }>;
}

export interface Volume {
  readonly name: string;
  readonly mountpoint: string;
  readonly createdAt: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly anonymous: boolean;
  /** As asked for, for people. */
  readonly options: Readonly<Record<string, string>>;
  /** It holds no more; absent: as much as the disk. */
  readonly sizeBytes?: number;
}

export interface NewVolume {
  /** Absent: a random one. */
  readonly name?: string;
  readonly labels?: Readonly<Record<string, string>>;
  readonly options?: Readonly<Record<string, string>>;
  readonly sizeBytes?: number;
}

export interface Volumes {
  /** An existing one of that name is returned; fails with `conflict` when another size was asked for. */
  create(wish: NewVolume): Promise<Volume>;
  get(name: string): Volume;
  list(): readonly Volume[];
  /** Fails with `conflict` naming the workloads that use it. */
  remove(name: string, options: { readonly force: boolean }): Promise<void>;
  /** Removes what no workload uses: the anonymous ones, or all. */
  prune(options: {
    readonly all: boolean;
    /** Spares the others; absent: none. */
    readonly matches?: (volume: Volume) => boolean;
  }): Promise<{ readonly removed: readonly string[]; readonly reclaimedBytes: number }>;
  usageBytes(name: string): Promise<number>;
  readonly archives: VolumeArchives;
}

/** Volumes as tars. */
export interface VolumeArchives {
  /** A tar of all that is in it. */
  backup(name: string): Readable;
  /**
   * Replaces all that is in it by what is in the tar; makes the volume if there is none. Fails with `conflict` when a
   * workload that runs mounts it, unless forced. When it fails, the old content is there as it was.
   */
  restore(
    name: string,
    tar: Readable,
    options: { readonly force: boolean; readonly signal?: AbortSignal },
  ): Promise<void>;
}

export interface Networks {
  /** Fails with `conflict` when the name or a subnet is in use. */
  create(options: CreateNetworkOptions): Promise<Network>;
  list(): readonly Network[];
  get(reference: string): Network;
  /** Fails with `conflict`, naming the workloads that are connected. */
  remove(reference: string): Promise<void>;
  /** Removes those that pass and that no workload is connected to; their names. */
  prune(filter: (network: Network) => boolean): Promise<readonly string[]>;
  /** Running or not; what runs is plugged in when this resolves. */
  connect(network: string, workload: string, wanted: Omit<NetworkAttachment, 'network'>): Promise<void>;
  disconnect(network: string, workload: string): Promise<void>;
}

/** What networks make of the host outside of workloads. */
export interface NetworkHost {
  /** What stands in their way, or would, and what was done about it. */
  findings(): Promise<readonly Finding[]>;
  /** Takes all of it away: rules, bridges. Fails with `conflict`, naming them, while workloads run on networks. */
  uninstall(): Promise<void>;
}

export interface PolicyTarget {
  readonly kind: 'workload' | 'network';
  readonly reference: string;
}

export interface PolicyView {
  readonly kind: 'workload' | 'network';
  readonly id: string;
  readonly name: string;
  /** In order: the first that matches decides; none: the default. */
  readonly rules: readonly string[];
}

export interface Policies {
  /** Of those that have one. */
  list(): readonly PolicyView[];
  get(target: PolicyTarget): PolicyView;
  /** In force when it resolves, for connections that are open, too. Undefined: none any more. */
  set(target: PolicyTarget, text: string | undefined): Promise<void>;
}

export interface Events {
  publish(event: Omit<BerthEvent, 'timeNano'>): void;
  /** Past events from `sinceNano` (from memory, the last few thousand), then live ones until `untilNano` or abort. */
  subscribe(options: {
    readonly sinceNano?: bigint;
    readonly untilNano?: bigint;
    readonly signal?: AbortSignal;
  }): AsyncIterable<BerthEvent>;
}

/** Counters since this daemon began, and what drivers keep ready. */
export type EngineFigures = Readonly<
  Record<Isolation, { readonly starts: StartFigures; readonly kept?: DriverFigures }>
>;

export interface Engine {
  readonly workloads: Workloads;
  readonly execs: Execs;
  readonly checkpoints: Checkpoints;
  readonly volumes: Volumes;
  readonly networks: Networks;
  readonly networkHost: NetworkHost;
  readonly policies: Policies;
  readonly events: Events;
  /** For the image store: image id to the names of the workloads made from it. */
  readonly imagesInUse: ImagesInUse;
  /** Probes of every driver, which remember what they found usable; facts such as counters are those of now. */
  probes(): Promise<Readonly<Record<Isolation, DriverProbe>>>;
  figures(): EngineFigures;
  /** Lets go of every instance without touching it and stops timers; workloads live on. */
  close(): Promise<void>;
}
