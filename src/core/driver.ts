// The contract between the engine and an isolation driver. Capabilities are optional members: absence means
// unsupported, and the compiler forces the caller to look before calling. Conformance: test/conformance.

import type { Readable, Writable } from 'node:stream';
import type { DriverFigures, InstanceStats } from './figures.ts';
import type { EndpointSpec, StartOptions } from './network.ts';
import type { InstanceSpec, Isolation, ProcessSpec, ResourceSpec } from './spec.ts';
import type { ExitStatus, InstanceStatus } from './state.ts';

export interface Probe {
  readonly name: string;
  readonly ok: boolean;
  /** What was found, one line. */
  readonly detail: string;
  /** What to do about it, when not ok. */
  readonly remedy?: string;
}

/** Makes instances of one isolation. */
export interface Driver {
  readonly name: Isolation;
  /** Uses each feature the driver needs and reports; never throws. The first call may take seconds, later ones are cached. */
  probe(): Promise<DriverProbe>;
  /** Prepares everything, starts nothing, and leaves no trace when it fails. */
  create(spec: InstanceSpec, signal?: AbortSignal): Promise<Instance>;
  /**
   * As `create`, but its first start goes on where `origin` was captured, in the process that ran there; later starts are
   * ordinary ones on the disk it has by then. The origin must stay open until that first start.
   */
  readonly restore?: (spec: InstanceSpec, origin: Origin) => Promise<Instance>;
  /** Opens what `Checkpointing.save` wrote; fails with `unavailable` when it is damaged or from another machine. */
  readonly openCheckpoint?: (dir: string) => Promise<Origin>;
  /** Counters, as they are now. Absent: it keeps nothing ready. */
  readonly figures?: () => DriverFigures;
  /**
   * Takes over what an earlier daemon made from this spec, whatever state it is in by now. Takes as long as its supervisor
   * takes to answer, which may be for ever, or until `end` or the signal.
   */
  adopt(spec: InstanceSpec, signal?: AbortSignal): Promise<Instance>;
  /** Process id of the supervisor of the instance in the folder `dir`, while one lives; no matter whether it answers. */
  supervisor(dir: string): Promise<number | undefined>;
  /**
   * Ends the supervisor and every process of the instance of this spec without asking them, as the last resort where they
   * do not answer; `status` becomes the end of a run that had none yet; those who wait for the end get it.
   */
  end(spec: InstanceSpec, status?: ExitStatus): Promise<void>;
  /** Ends what it keeps for later starts and resolves when that is gone; instances live on. Nothing is called afterwards. */
  readonly close?: () => Promise<void>;
}

export interface DriverProbe {
  readonly usable: boolean;
  readonly probes: readonly Probe[];
  /** For `info`: e.g. { runtime: 'crun 1.8.1' } or { accelerator: 'tcg', kernel: '6.1.0-…' }. */
  readonly facts: Readonly<Record<string, string>>;
}

export interface TerminalSize {
  readonly rows: number;
  readonly columns: number;
}

/** A live connection to the stdio of a process in an instance. */
export interface ProcessIo {
  /** Without a tty: Docker's multiplexed frames ([stream, 0, 0, 0, length u32 BE] payload); with one: raw bytes. Ends after the process's output ended. */
  readonly output: Readable;
  /** End it to give the process end of file. Writes are discarded if the process has no stdin. */
  readonly input: Writable;
  resize(size: TerminalSize): Promise<void>;
  /** Resolves when the process ended; rejects only if that can no longer be learned. */
  readonly exit: Promise<ExitStatus>;
  /** Lets go of the connection; the process goes on. */
  close(): void;
}

export interface AttachOptions {
  readonly stdin: boolean;
  readonly stdout: boolean;
  readonly stderr: boolean;
}

/** One incarnation of a workload. Methods may be called at any time; what does not fit the state fails with `invalid-state`. */
export interface Instance {
  readonly id: string;
  state(): Promise<InstanceStatus>;
  /**
   * Starts the main process; resolves when it has been executed. A command that cannot be executed fails with
   * `exitStatus` 127 (not found) or 126 (not executable), anything else of the runtime's with 125-like `internal`.
   * May be called again after the instance exited: the writable layer survives.
   */
  start(options?: StartOptions): Promise<void>;
  /** Connects to the main process's stdio. Before `start` it delivers all output from the first byte on. */
  attach(options: AttachOptions): Promise<ProcessIo>;
  /** Sends a signal to the main process. */
  kill(signal: number): Promise<void>;
  /**
   * Resolves with the exit status of the current or last run; survives nothing: call again after a restart. Until then the
   * last `onOomKill` given is called once for each burst of kills for the memory limit, also for one not heard of before.
   */
  wait(onOomKill?: () => void): Promise<ExitStatus>;
  resize(size: TerminalSize): Promise<void>;
  /** Removes all that the instance has outside and inside `spec.dir` but not the folder; it must not be running. */
  remove(): Promise<void>;
  /** Lets go of all connections to the instance, which lives on as if the daemon had died; nothing is called afterwards. */
  readonly release?: () => void;
  readonly exec?: Exec;
  readonly pausing?: Pausing;
  readonly networking?: Networking;
  readonly checkpointing?: Checkpointing;
  readonly stats?: () => Promise<InstanceStats>;
  readonly processes?: (psArgs: readonly string[]) => Promise<ProcessTable>;
  readonly files?: Files;
  /** Sets these limits, all of them, for the current run and for later ones; the instance need not be running. */
  readonly update?: (resources: ResourceSpec) => Promise<void>;
  /** Bytes that the writable layer holds on the host's disk. */
  readonly writableBytes?: () => Promise<number>;
}

export interface Exec {
  /** Runs one more process. Failure to execute is an error with `exitStatus` 126 or 127. */
  run(process: ProcessSpec, size?: TerminalSize): Promise<ExecProcess>;
}

export interface ExecProcess extends ProcessIo {
  /** As seen on the host for a container, inside the guest for a VM. */
  readonly pid: number;
  kill(signal: number): Promise<void>;
}

/** A captured running state that instances can go on from, any number of them, until it is disposed. */
export interface Origin extends AsyncDisposable {
  /** How long the instance stood still for it; absent when that was long ago. */
  readonly pauseMs?: number;
}

/** What a saved running state takes. */
export interface SavedState {
  readonly pauseMs: number;
  /** On the host's disk, holes not counted. */
  readonly sizeBytes: number;
}

/** Capturing memory, devices and disk of a running instance as they are at one moment; it goes on. */
export interface Checkpointing {
  /** Into the empty folder `dir`; whole and flushed to the disk at the end. Quickest on the file system of the instance's own. */
  save(dir: string): Promise<SavedState>;
  /** For copies that are made at once; the folder is used until it is disposed. */
  capture(dir: string): Promise<Origin>;
}

/** Changing what a running instance is plugged into; its other interfaces and their connections are not touched. */
export interface Networking {
  plug(endpoint: EndpointSpec): Promise<void>;
  /** By the name inside; one that is not there is no error. */
  unplug(name: string): Promise<void>;
}

export interface Pausing {
  pause(): Promise<void>;
  resume(): Promise<void>;
}

export interface ProcessTable {
  readonly titles: readonly string[];
  readonly rows: readonly (readonly string[])[];
}

export interface FileStat {
  readonly name: string;
  readonly sizeBytes: number;
  /** Go's os.FileMode bits, as Docker's X-Docker-Container-Path-Stat carries them. */
  readonly mode: number;
  readonly mtime: string;
  readonly linkTarget: string;
}

export interface FileChange {
  /** Docker's numbers: 0 modified, 1 added, 2 deleted. */
  readonly kind: 0 | 1 | 2;
  /** Absolute, a character for each byte (latin1): names need not be UTF-8. */
  readonly path: string;
}

/** Files of an instance, running or not. Paths are resolved inside its root: no link leads out. */
export interface Files {
  stat(path: string): Promise<FileStat>;
  /**
   * A tar stream of the path, entries named from its base name on, those of the root from "/" on; of an empty path, the
   * root's own contents without any mount, named without a slash before them.
   */
  read(path: string): Promise<Readable>;
  /** Unpacks a tar stream into the folder `path`. */
  write(path: string, tar: Readable, options: WriteOptions): Promise<void>;
  changes(): Promise<readonly FileChange[]>;
}

export interface WriteOptions {
  /** Refuse to replace a folder by a file or the reverse. */
  readonly noOverwriteDirNonDir: boolean;
  readonly copyUidGid: boolean;
}
