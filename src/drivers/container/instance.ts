// One container: the state that its shim, its files and its cgroup tell, and what can be done to it.

import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import {
  type AttachOptions,
  BerthError,
  type Exec,
  type ExitStatus,
  type Files,
  type Instance,
  type InstanceSpec,
  type InstanceStats,
  type InstanceStatus,
  type Networking,
  type Pausing,
  type ProcessIo,
  type ProcessTable,
  type ResourceSpec,
  type StartOptions,
  type TerminalSize,
} from '../../core/index.ts';
import { networkingOf, readExit, type ShimClient, ShimFiles, supervisorDied } from '../../guest/index.ts';
import { freezeCgroup } from '../../host/cgroup.ts';
import { liftedDevices } from '../../host/cgroup-devices.ts';
import { cgroupWrites, limitCgroup } from '../../host/cgroup-limits.ts';
import { readCgroupStats } from '../../host/cgroup-stats.ts';
import type { Adopted } from './adopt.ts';
import type { DriverContext } from './context.ts';
import { ContainerExec } from './exec.ts';
import { ContainerFiles } from './files.ts';
import { launchError } from './launch-error.ts';
import { LAYER_IMAGE } from './layer-image.ts';
import { listProcesses } from './processes.ts';
import { ContainerSupervisor } from './supervisor.ts';

const SIGKILL = 9;
/** What signals must reach a frozen process at once: those that are to end it. */
const ENDING = new Set([SIGKILL, 15]);

/** Whether a group went with its last process, of which nobody may have told yet. */
const isGone = ({ code }: NodeJS.ErrnoException) => code === 'ENOENT' || code === 'ENODEV';

/** A run of the main process. */
interface Run {
  readonly pid: number;
  readonly startedAt: string;
  readonly client: ShimClient;
  readonly exit: Promise<ExitStatus>;
}

export class ContainerInstance implements Instance {
  readonly id: string;
  #spec: InstanceSpec;
  readonly #context: DriverContext;
  readonly #supervisor: ContainerSupervisor;
  #run: Run | undefined;
  #last: { readonly status: ExitStatus; readonly startedAt?: string } | undefined;
  #paused = false;
  /** Ending signals so far, and the run that was sent one that it cannot refuse. */
  #endings = 0;
  #killed: Run | undefined;
  #starting = false;
  readonly exec: Exec;
  readonly pausing: Pausing;
  readonly files: Files;
  readonly networking?: Networking;

  constructor(spec: InstanceSpec, context: DriverContext, adopted?: Adopted) {
    this.id = spec.id;
    this.#spec = spec;
    this.#context = context;
    this.#supervisor = new ContainerSupervisor(
      context,
      () => this.#spec,
      adopted !== undefined,
      adopted?.client,
    );
    this.#last = adopted?.last;
    if (adopted?.running !== undefined) this.#began(adopted.running);
    this.#paused = adopted?.paused ?? false;
    const guard = { assertRunning: (what: string) => this.#assertRunning(what), spec: () => this.#spec };
    this.exec = new ContainerExec(this.#supervisor, context, guard);
    this.pausing = { pause: () => this.#pause(), resume: () => this.#resume() };
    if (spec.network === 'private')
      this.networking = networkingOf(() => {
        this.#assertRunning('change the network');
        return this.#supervisor.client();
      });
    this.files = new ContainerFiles(
      new ShimFiles({
        open: () => this.#supervisor.reachFiles(),
        user: () => this.#spec.process,
      }),
      () => this.#spec,
      () => this.#supervisor.noteChanged(),
    );
  }

  get cgroupPath(): string {
    return this.#spec.cgroupPath;
  }

  async state(): Promise<InstanceStatus> {
    if (this.#run !== undefined) {
      const { pid, startedAt } = this.#run;
      const killed = this.#run.client.oomKilled ? { oomKilled: true } : {};
      return { state: this.#paused ? 'paused' : 'running', pid, startedAt, ...killed };
    }
    if (this.#last === undefined) return { state: 'created' };
    const { status, startedAt } = this.#last;
    return { state: 'exited', exit: status, ...(startedAt === undefined ? {} : { startedAt }) };
  }

  async start(options?: StartOptions): Promise<void> {
    if (this.#run !== undefined || this.#starting)
      throw new BerthError('invalid-state', `container ${this.id} is already running`);
    this.#starting = true;
    try {
      const { pid, startedAt } = await this.#supervisor.start(options ?? {});
      await this.#weigh();
      this.#last = undefined;
      this.#began({
        pid: pid ?? 0,
        startedAt: startedAt ?? new Date().toISOString(),
      });
    } catch (error) {
      throw launchError('create', this.#spec.process.args[0] ?? '', error);
    } finally {
      this.#starting = false;
    }
  }

  /** Runtimes know only a scheduler that kernels have no more; of BFQ's files, those that are there are written here. */
  async #weigh(): Promise<void> {
    const { blkioWeight, deviceWeights } = this.#spec.resources;
    if (this.#context.traits.blkioWeight || (blkioWeight ?? deviceWeights) === undefined) return;
    const weights = {
      ...(blkioWeight === undefined ? {} : { blkioWeight }),
      ...(deviceWeights === undefined ? {} : { deviceWeights }),
    };
    // It may have ended by now, and its group with it.
    await limitCgroup(this.#spec.cgroupPath, weights).catch(() => {});
  }

  #began(run: Pick<Run, 'pid' | 'startedAt'>): void {
    const client = this.#supervisor.client();
    const exit = client.exit.catch((error) => this.#exitOfLost(error));
    const current: Run = { ...run, client, exit };
    this.#run = current;
    void exit.then((status) => {
      if (this.#run !== current) return;
      this.#run = undefined;
      this.#paused = false;
      this.#last = { status, startedAt: current.startedAt };
    });
  }

  /** The shim has gone without a word: it may still have written how it ended. */
  async #exitOfLost(error: unknown): Promise<ExitStatus> {
    const recorded = await readExit(this.#spec.dir);
    await this.#context.sweep(this.#spec);
    return (
      recorded?.status ?? supervisorDied(`the supervisor of the container died (${(error as Error).message})`)
    );
  }

  attach(options: AttachOptions): Promise<ProcessIo> {
    return this.#supervisor.attach(options);
  }

  #assertRunning(what: string): void {
    if (this.#run === undefined)
      throw new BerthError('invalid-state', `cannot ${what}: container ${this.id} is not running`);
    if (this.#paused && what === 'exec')
      throw new BerthError('conflict', `container ${this.id} is paused, unpause the container before exec`);
  }

  async kill(signal: number): Promise<void> {
    this.#assertRunning('kill');
    if (ENDING.has(signal)) this.#endings++;
    if (signal === SIGKILL) this.#killed = this.#run;
    await this.#supervisor.client().signal(signal);
    if (this.#paused && ENDING.has(signal)) await this.#resume();
  }

  async wait(onOomKill?: () => void): Promise<ExitStatus> {
    if (this.#run !== undefined) {
      if (onOomKill !== undefined) this.#run.client.onOomKill(onOomKill);
      return this.#run.exit;
    }
    if (this.#last !== undefined) return this.#last.status;
    throw new BerthError('invalid-state', `container ${this.id} was never started`);
  }

  async resize(size: TerminalSize): Promise<void> {
    this.#assertRunning('resize');
    await this.#supervisor.client().resize(size);
  }

  async #pause(): Promise<void> {
    this.#assertRunning('pause');
    if (this.#paused) throw new BerthError('conflict', `container ${this.id} is already paused`);
    // Frozen before it has died, it could not.
    if (this.#killed === this.#run)
      throw new BerthError('invalid-state', `cannot pause: container ${this.id} has just been killed`);
    const endings = this.#endings;
    await freezeCgroup(this.#spec.cgroupPath, true).catch((cause: NodeJS.ErrnoException) => {
      if (!isGone(cause)) throw cause;
      throw new BerthError('invalid-state', `cannot pause: container ${this.id} has just ended`, { cause });
    });
    if (this.#endings !== endings) {
      await this.#thaw();
      throw new BerthError('conflict', `container ${this.id} is being ended, and was not paused`);
    }
    this.#paused = this.#run !== undefined;
  }

  async #resume(): Promise<void> {
    if (!this.#paused) throw new BerthError('conflict', `container ${this.id} is not paused`);
    await this.#thaw();
    this.#paused = false;
  }

  async #thaw(): Promise<void> {
    await freezeCgroup(this.#spec.cgroupPath, false).catch((error: NodeJS.ErrnoException) => {
      // The container ended while it was being thawed: on version 2 a kill needs no thaw.
      if (this.#run !== undefined && !isGone(error)) throw error;
    });
  }

  readonly stats = async (): Promise<InstanceStats> => {
    this.#assertRunning('read statistics');
    return readCgroupStats(this.#spec.cgroupPath);
  };

  readonly processes = async (psArgs: readonly string[]): Promise<ProcessTable> => {
    this.#assertRunning('list processes');
    return listProcesses(this.#spec.cgroupPath, psArgs);
  };

  readonly update = async (resources: ResourceSpec): Promise<void> => {
    const wanted = { ...resources, ...liftedDevices(this.#spec.resources, resources) };
    if (this.#run !== undefined) await limitCgroup(this.#spec.cgroupPath, wanted);
    // What a later start would refuse is refused now.
    else cgroupWrites(wanted, this.#context.traits.cgroupVersion);
    this.#spec = { ...this.#spec, resources };
  };

  async remove(): Promise<void> {
    if (this.#run !== undefined || this.#starting)
      throw new BerthError('invalid-state', `container ${this.id} is running: stop it first`);
    await this.#supervisor.end(() => this.#removeFiles());
    await this.#context.forget(this);
  }

  async #removeFiles(): Promise<void> {
    const names = [
      LAYER_IMAGE,
      'upper',
      'work',
      'rootfs',
      'run',
      'exit',
      'exit.tmp',
      'shim.err',
      'shim.pid',
      'shim.sock',
      'log.json',
    ];
    const rotated = Array.from({ length: this.#spec.log.maxFiles }, (_, number) => `log.json.${number + 1}`);
    await Promise.all(
      [...names, ...rotated].map((name) => rm(join(this.#spec.dir, name), { recursive: true, force: true })),
    );
  }
}
