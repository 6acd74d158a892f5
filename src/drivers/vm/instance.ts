// One virtual machine: the state that its shim and its files tell, and what can be done to it.

import { readdir, rm } from 'node:fs/promises';
import { totalmem } from 'node:os';
import { join } from 'node:path';
import {
  type AttachOptions,
  BerthError,
  type Checkpointing,
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
import {
  networkingOf,
  readExit,
  recordExit,
  type ShimClient,
  shimDied,
  supervisorDied,
} from '../../guest/index.ts';
import { killCgroup, removeEmptyCgroup, supervisorGroup } from '../../host/index.ts';
import { type CaptureSource, captureOrigin, saveCheckpoint, type VmOrigin } from './checkpoint.ts';
import { checkSpec } from './config.ts';
import { VmFiles } from './files.ts';
import { GuestFigures, launchError, readProcesses, runExec } from './inside.ts';
import { cleanAfterShim } from './process.ts';
import { type VmHost, VmSupervisor } from './supervisor.ts';
import { changeLimits } from './update.ts';

/** A run of the main process. */
interface Run {
  readonly pid: number;
  readonly startedAt: string;
  readonly client: ShimClient;
  readonly exit: Promise<ExitStatus>;
}

interface Ended {
  readonly status: ExitStatus;
  readonly startedAt?: string;
}

/** Everything in the instance's folder that is the driver's or the shim's. */
const OWN_FILES =
  /^(vm\.(machine|guest|main)|memory|state|writable\.ext4|exit(\.tmp)?|log\.json(\.\d+)?|shim\.\w+|console\.log|shares(\.sock)?)$/;

/** Signals that are to end it must reach it even when it is paused: the shim resumes the guest for them. */
const ENDING = new Set([9, 15]);

export class VmInstance implements Instance {
  readonly id: string;
  #spec: InstanceSpec;
  readonly #supervisor: VmSupervisor;
  #run: Run | undefined;
  #last: Ended | undefined;
  #paused = false;
  readonly #figures = new GuestFigures();
  #starting = false;
  readonly exec: Exec;
  readonly pausing: Pausing;
  readonly files: Files;
  readonly checkpointing: Checkpointing;
  readonly networking: Networking;

  /** `pristine`: just made, so that nothing can have been written to its disk. */
  constructor(spec: InstanceSpec, host: VmHost, pristine: boolean, origin?: VmOrigin) {
    this.id = spec.id;
    this.#spec = spec;
    this.#supervisor = new VmSupervisor(() => this.#spec, host, pristine, origin);
    this.exec = {
      run: async (process, size) => {
        this.#assertRunning('exec');
        if (this.#paused) throw new BerthError('conflict', `VM ${this.id} is paused, unpause it before exec`);
        return runExec(this.#supervisor.client(), process, size);
      },
    };
    this.pausing = { pause: () => this.#pause(true), resume: () => this.#pause(false) };
    const capturing = async <T>(work: (source: CaptureSource) => Promise<T>): Promise<T> => {
      this.#assertRunning('capture');
      if (this.#paused)
        throw new BerthError('conflict', `VM ${this.id} is paused, unpause it before it is captured`);
      return work({ spec: this.#spec, client: this.#supervisor.client(), qemu: host.qemu });
    };
    this.checkpointing = {
      save: (dir) => capturing((source) => saveCheckpoint(source, dir)),
      capture: (dir) => capturing((source) => captureOrigin(source, dir)),
    };
    this.networking = networkingOf(() => {
      this.#assertRunning('change the network');
      return this.#supervisor.client();
    });
    this.files = new VmFiles(this.#supervisor, () => this.#spec);
  }

  /** Finds out what became of it while no daemon looked. */
  async adopt(signal?: AbortSignal): Promise<void> {
    const state = await this.#supervisor.join(signal);
    if (state === undefined) {
      this.#last = await readExit(this.#spec.dir);
      if (await shimDied(this.#spec.dir)) this.#last ??= await this.#recordLoss();
      await removeEmptyCgroup(supervisorGroup(this.#spec.cgroupPath));
      return;
    }
    this.#paused = state.state === 'paused';
    this.#began(state.pid ?? 0, state.startedAt ?? new Date().toISOString());
  }

  /** Written down as the shim would have, so that the next daemon knows it too. */
  async #recordLoss(): Promise<Ended> {
    const status = supervisorDied('the supervisor of the VM was killed, and the VM with it');
    await cleanAfterShim(this.#spec);
    await recordExit(this.#spec.dir, status);
    return { status };
  }

  #began(pid: number, startedAt: string): void {
    const client = this.#supervisor.client();
    const exit = client.exit.catch(() => this.#exitOfLost());
    const run = { pid, startedAt, client, exit };
    this.#run = run;
    this.#last = undefined;
    void exit.then((status) => {
      if (this.#run !== run) return;
      this.#run = undefined;
      this.#paused = false;
      this.#last = { status, startedAt };
    });
  }

  /** The shim has gone without a word: it may still have written how it ended. */
  async #exitOfLost(): Promise<ExitStatus> {
    const recorded = await readExit(this.#spec.dir);
    return recorded?.status ?? (await this.#recordLoss()).status;
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

  #assertRunning(what: string): void {
    if (this.#run === undefined)
      throw new BerthError('invalid-state', `cannot ${what}: VM ${this.id} is not running`);
  }

  async start(options?: StartOptions): Promise<void> {
    if (this.#run !== undefined || this.#starting)
      throw new BerthError('invalid-state', `VM ${this.id} is already running`);
    this.#starting = true;
    try {
      const { pid, startedAt } = await this.#supervisor.start(options ?? {});
      this.#began(pid ?? 0, startedAt ?? new Date().toISOString());
    } catch (error) {
      throw launchError('create', error);
    } finally {
      this.#starting = false;
    }
  }

  attach(options: AttachOptions): Promise<ProcessIo> {
    return this.#supervisor.attach(options);
  }

  async wait(onOomKill?: () => void): Promise<ExitStatus> {
    if (this.#run !== undefined) {
      if (onOomKill !== undefined) this.#run.client.onOomKill(onOomKill);
      return this.#run.exit;
    }
    if (this.#last !== undefined) return this.#last.status;
    throw new BerthError('invalid-state', `VM ${this.id} was never started`);
  }

  async kill(signal: number): Promise<void> {
    this.#assertRunning('kill');
    // A pause that is under way fails when the signal comes before it, or follows it.
    const wasPaused = this.#paused;
    await this.#supervisor.client().signal(signal);
    if (wasPaused && ENDING.has(signal)) this.#paused = false;
  }

  async resize(size: TerminalSize): Promise<void> {
    this.#assertRunning('resize');
    await this.#supervisor.client().resize(size);
  }

  async #pause(paused: boolean): Promise<void> {
    this.#assertRunning(paused ? 'pause' : 'resume');
    if (this.#paused === paused)
      throw new BerthError('conflict', `VM ${this.id} is ${paused ? 'already' : 'not'} paused`);
    const client = this.#supervisor.client();
    if (paused) await this.#figures.remember(client);
    await client.ask(paused ? 'pause' : 'resume');
    this.#paused = paused && this.#run !== undefined;
  }

  readonly stats = async (): Promise<InstanceStats> => {
    this.#assertRunning('read statistics');
    return this.#figures.read(this.#supervisor.client(), this.#spec, this.#paused);
  };

  readonly processes = async (psArgs: readonly string[]): Promise<ProcessTable> => {
    this.#assertRunning('list processes');
    return readProcesses(this.#supervisor.client(), psArgs);
  };

  /** A running machine keeps the size it has: limits move within it, and beyond it only for the next start. */
  readonly update = async (resources: ResourceSpec): Promise<void> => {
    const changed = { ...this.#spec, resources };
    checkSpec(changed, totalmem());
    if (this.#run !== undefined) await changeLimits(this.#supervisor.client(), this.#spec, changed);
    this.#spec = changed;
  };

  async remove(): Promise<void> {
    if (this.#run !== undefined || this.#starting)
      throw new BerthError('invalid-state', `VM ${this.id} is running: stop it first`);
    // The guest may still be writing its disk out, for a next start that there will not be.
    await killCgroup(this.#spec.cgroupPath);
    await this.#supervisor.end(() => this.#removeFiles());
  }

  async #removeFiles(): Promise<void> {
    await cleanAfterShim(this.#spec);
    const names = (await readdir(this.#spec.dir).catch(() => [])).filter((name) => OWN_FILES.test(name));
    await Promise.all(names.map((name) => rm(join(this.#spec.dir, name), { force: true, recursive: true })));
  }
}
