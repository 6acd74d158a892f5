// A workload in memory: its record, its instance and what is known of it right now.

import { join } from 'node:path';
import {
  BerthError,
  type BerthEvent,
  type ExitStatus,
  type Instance,
  type InstanceStatus,
  type State,
  type TerminalSize,
  type WorkloadView,
} from '../core/index.ts';
import { Mutex } from '../host/mutex.ts';
import type { HealthMonitor } from './health.ts';
import { keepCopy, saveRecord, type WorkloadRecord } from './records.ts';
import { Waiters } from './waiters.ts';

/** One run of the main process; a later run makes what is heard of an earlier one void. */
export interface Run {
  readonly startedMs: number;
}

export class Workload {
  readonly id: string;
  /** Absent when its driver is missing or could not take it over. */
  instance: Instance | undefined;
  state: State = 'created';
  stateReason: string | undefined;
  pid = 0;
  startedAt: string | undefined;
  exit: ExitStatus | undefined;
  /** An OOM kill was reported of the run under way. */
  oomKilled = false;
  /** Exited and to be started again when `restartTimer` fires. */
  restarting = false;
  restartTimer: NodeJS.Timeout | undefined;
  restartDelayMs = 0;
  removing = false;
  /** The start under way was ended by force. */
  cut = false;
  /** Resolves when the removal under way has ended well. */
  removal: Promise<void> | undefined;
  /** Resolves when it has been taken over from an earlier daemon, or that has failed once. */
  adopted: Promise<void> = Promise.resolve();
  adopting = false;
  /** A restart is under way: an end of the process does not remove the workload. */
  keepAtExit = false;
  run: Run | undefined;
  health: HealthMonitor | undefined;
  /** Size for a terminal that is yet to be made. */
  nextSize: TerminalSize | undefined;
  /** Resolves when the networks of the last run are left. */
  left: Promise<void> = Promise.resolve();
  readonly execIds = new Set<string>();
  /** Changes of state one at a time. What may take long (waiting for an end) happens outside. */
  readonly lock = new Mutex();
  readonly exits = new Waiters<ExitStatus>();
  /** Not running and not about to. */
  readonly stops = new Waiters<ExitStatus>();
  readonly removals = new Waiters<ExitStatus>();
  #record: WorkloadRecord;
  #saving: Promise<void> = Promise.resolve();

  constructor(record: WorkloadRecord, instance: Instance | undefined) {
    this.id = record.id;
    this.#record = record;
    this.instance = instance;
    this.exit = record.failure;
  }

  get record(): WorkloadRecord {
    return this.#record;
  }

  get name(): string {
    return this.#record.name;
  }

  /** Its main process exists. */
  get running(): boolean {
    return this.state === 'running' || this.state === 'paused';
  }

  /** Running, or about to again without anyone asking. */
  get active(): boolean {
    return this.running || this.restarting;
  }

  /** The exit status to show to whom asks when nothing runs; a workload that never ran counts as 0. */
  get lastExit(): ExitStatus {
    return this.exit ?? { code: 0, oomKilled: false, finishedAt: '0001-01-01T00:00:00Z' };
  }

  /** Fails with `unavailable` and the reason when there is nothing to talk to. */
  requireInstance(): Instance {
    if (this.instance !== undefined) return this.instance;
    throw new BerthError(
      'unavailable',
      `container ${this.name} cannot be reached: ${this.stateReason ?? 'it has no instance'}`,
    );
  }

  /** Changes the record now and the file as soon as possible; resolves when that is written. */
  update(change: Partial<WorkloadRecord>): Promise<void> {
    return this.replace({ ...this.#record, ...change });
  }

  /** As `update`, with a whole record. */
  replace(record: WorkloadRecord): Promise<void> {
    const { name, endpoints } = this.#record;
    const isRenamed = name !== record.name || endpoints !== record.endpoints;
    this.#record = record;
    const saving = this.#saving.then(async () => {
      // What waited behind another change has the newest record; one that is being removed must not come back.
      if (this.removing) return;
      await saveRecord(this.#record);
      if (isRenamed) await keepCopy(this.#record);
    });
    this.#saving = saving.catch(() => {});
    return saving;
  }

  /** Resolves when no write is under way. */
  saved(): Promise<void> {
    return this.#saving;
  }

  /** Takes over what the instance says of itself. */
  observe(status: InstanceStatus): void {
    this.state = status.state;
    this.stateReason = status.reason;
    this.pid = this.running ? (status.pid ?? 0) : 0;
    this.oomKilled = status.oomKilled ?? false;
    this.startedAt = status.startedAt ?? this.startedAt;
    // A start that failed later than that run ended is what there is to tell.
    if (status.exit !== undefined && this.#record.failure === undefined) this.exit = status.exit;
  }

  /** An event about this workload, with Docker's attributes. */
  event(action: string, attributes: Readonly<Record<string, string>> = {}): Omit<BerthEvent, 'timeNano'> {
    const { spec, config } = this.#record;
    const all = { ...config.labels, ...attributes, image: spec.image, name: this.name };
    return { type: 'container', action, actor: { id: this.id, attributes: all } };
  }

  view(): WorkloadView {
    const { spec, config, instance, ...record } = this.#record;
    const reason = this.stateReason ?? (this.state === 'exited' ? this.exit?.message : undefined);
    const health = this.health?.status();
    return {
      id: this.id,
      name: record.name,
      createdAt: record.createdAt,
      spec,
      imageId: record.imageId,
      path: instance.process.args[0] ?? '',
      args: instance.process.args.slice(1),
      entrypoint: config.entrypoint,
      command: config.command,
      env: config.env,
      workingDir: config.workingDir,
      user: config.user,
      labels: config.labels,
      hostname: instance.hostname,
      stopSignal: config.stopSignal,
      exposedPorts: config.exposedPorts,
      endpoints: record.endpoints,
      published: record.published,
      state: this.state,
      restarting: this.restarting,
      removing: this.removing,
      pid: this.pid,
      oomKilled: this.oomKilled || this.lastExit.oomKilled,
      error: record.error || (this.exit?.reason === undefined ? '' : (this.exit.message ?? this.exit.reason)),
      restartCount: record.restartCount,
      mounts: record.mounts,
      logPath: spec.log.driver === 'none' ? '' : join(instance.dir, 'log.json'),
      execIds: [...this.execIds],
      ...(reason === undefined ? {} : { stateReason: reason }),
      ...(this.startedAt === undefined ? {} : { startedAt: this.startedAt }),
      ...(this.exit === undefined ? {} : { exit: this.exit }),
      ...(health === undefined ? {} : { health }),
      ...(config.healthCheck === undefined ? {} : { healthCheck: config.healthCheck }),
    };
  }
}
