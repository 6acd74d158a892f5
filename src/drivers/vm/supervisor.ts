// The shims of one VM over its successive runs, one at a time: for a run, or to hold its file system for `files`. Whatever
// launches or ends one does so alone. Who attaches before a run waits here, so that files can be reached until then.

import { join } from 'node:path';
import {
  type AttachOptions,
  BerthError,
  type InstanceSpec,
  isBerthError,
  type ProcessIo,
  type StartOptions,
} from '../../core/index.ts';
import {
  END_LIMIT_MS,
  type FieldValues,
  killShim,
  ShimClient,
  type ShimConnection,
  ShimProcessIo,
  type ShimState,
  shimDied,
  shimEndedWithin,
} from '../../guest/index.ts';
import { Mutex, readIfExists } from '../../host/index.ts';
import type { VmOrigin } from './checkpoint.ts';
import { Holder } from './holder.ts';
import { startFields } from './network.ts';
import { cleanAfterShim, endMachine, prepareCgroup, startShim } from './process.ts';

/** What an instance needs of its driver. */
export interface VmHost {
  readonly shimPath: string;
  /** Writes the files that the shim reads; with what to go on from, if it is to. */
  writeConfig(spec: InstanceSpec, origin?: VmOrigin): Promise<void>;
  /** The program that machines run in. */
  readonly qemu: string;
  /** A machine that waited for an instance like this one and is it from now on, if there is one. */
  claim(spec: InstanceSpec): Promise<ShimClient | undefined>;
  /** The main process runs; how the machine came up is in the state. */
  started(spec: InstanceSpec, state: ShimState): void;
}

export class VmSupervisor {
  readonly #spec: () => InstanceSpec;
  readonly #host: VmHost;
  readonly #holder: Holder;
  /** Of the current run, or of the last one until its machine is gone. */
  #client: ShimClient | undefined;
  /** Whether that run's process still lives. */
  #alive = false;
  /** Who waits for the next run, to be attached before it begins. */
  readonly #early = new Map<ShimProcessIo, AttachOptions>();
  readonly #turn = new Mutex();
  #removed = false;
  /** Whether nothing has been written to its disk yet. */
  #pristine: boolean;
  /** What the first run goes on from. */
  #origin: VmOrigin | undefined;

  constructor(spec: () => InstanceSpec, host: VmHost, pristine: boolean, origin?: VmOrigin) {
    this.#pristine = pristine;
    this.#origin = origin;
    this.#spec = spec;
    this.#host = host;
    this.#holder = new Holder(() => this.#launch(), this.#turn);
  }

  #use(client: ShimClient): void {
    this.#client = client;
    this.#alive = true;
    const ended = () => {
      if (this.#client === client) this.#alive = false;
    };
    void client.exit.then(ended, ended);
    void client.gone.then(() => {
      if (this.#client === client) this.#client = undefined;
    });
  }

  /** Joins the shim of a run that an earlier daemon began. Resolves to its state, or undefined when none runs. */
  async join(signal?: AbortSignal): Promise<ShimState | undefined> {
    const joined = await ShimClient.join(this.#spec().dir, signal).catch((error: unknown) => {
      if (isBerthError(error, 'unavailable')) return undefined;
      throw error;
    });
    if (joined === undefined) return undefined;
    const { client, state } = joined;
    if (state.state === 'running' || state.state === 'paused') {
      this.#use(client);
      return state;
    }
    // Made or held for a daemon that is no more, or about to be gone; or that daemon's last word was to start it.
    return (await client.quit()) ? undefined : await this.join(signal);
  }

  /** The shim of the current run. */
  client(): ShimClient {
    if (this.#client === undefined)
      throw new BerthError('invalid-state', `VM ${this.#spec().id} is not running`);
    return this.#client;
  }

  start(options: StartOptions): Promise<ShimState> {
    return this.#turn.run(() => this.#start(options));
  }

  async #start(options: StartOptions): Promise<ShimState> {
    try {
      return await this.#run(startFields(this.#spec(), options));
    } catch (error) {
      this.#dismiss('the VM was not started');
      throw error;
    }
  }

  async #run(fields: FieldValues): Promise<ShimState> {
    const client = await this.#launchIdle();
    try {
      await this.#attachEarly(client);
      const state = await client.start(fields);
      this.#use(client);
      this.#host.started(this.#spec(), state);
      return state;
    } catch (error) {
      const explained = await this.#explain(error);
      if (isBerthError(error, 'timeout')) await endMachine(this.#spec());
      client.close();
      await client.ended();
      throw explained;
    }
  }

  /** A machine that could not even be started says why in the shim's error file. */
  async #explain(error: unknown): Promise<unknown> {
    if (!isBerthError(error, 'unavailable')) return error;
    const text = (await readIfExists(join(this.#spec().dir, 'shim.err')))?.trim();
    return text ? new BerthError('internal', `${error.message}: ${text}`, { cause: error }) : error;
  }

  async #attachEarly(client: ShimClient): Promise<void> {
    if (this.#early.size === 0) return;
    // By its answer it listens.
    await client.prepare('state');
    const { tty } = this.#spec().process;
    await Promise.all([...this.#early].map(([io, options]) => client.attach(options, tty, io)));
    this.#early.clear();
  }

  #dismiss(why: string): void {
    for (const io of this.#early.keys()) io.fail(new BerthError('unavailable', why));
    this.#early.clear();
  }

  async #launchIdle(): Promise<ShimClient> {
    // The last run's machine may still be writing its disk out.
    await this.#client?.ended();
    await this.#holder.end();
    if (this.#removed) throw new BerthError('invalid-state', `VM ${this.#spec().id} is removed`);
    const claimed =
      this.#pristine && this.#origin === undefined ? await this.#host.claim(this.#spec()) : undefined;
    this.#pristine = false;
    return claimed ?? this.#launch();
  }

  async #launch(): Promise<ShimClient> {
    const spec = this.#spec();
    if (this.#removed) throw new BerthError('invalid-state', `VM ${spec.id} is removed`);
    this.#pristine = false;
    await this.#lastOneGone();
    if (await shimDied(spec.dir)) await cleanAfterShim(spec);
    const origin = this.#origin;
    this.#origin = undefined;
    await Promise.all([this.#host.writeConfig(spec, origin), prepareCgroup(spec)]);
    return startShim(this.#host.shimPath, spec);
  }

  /** Ends the shim of a run that an earlier daemon began; it has a while to write its disk out. */
  async #lastOneGone(): Promise<void> {
    const { dir } = this.#spec();
    if (!(await shimEndedWithin(dir, END_LIMIT_MS))) await killShim(dir);
  }

  /** Attaches to the process that runs, or to the next one. */
  attach(options: AttachOptions): Promise<ProcessIo> {
    const { tty } = this.#spec().process;
    const current = this.#current();
    if (current !== undefined) return current.attach(options, tty);
    return this.#turn.run(async () => {
      const started = this.#current();
      if (started !== undefined) return started.attach(options, tty);
      if (this.#removed) throw new BerthError('invalid-state', `VM ${this.#spec().id} is removed`);
      const io = new ShimProcessIo(tty);
      this.#early.set(io, options);
      const forget = () => this.#early.delete(io);
      io.exit.then(forget, forget);
      return io;
    });
  }

  /** The shim of the run whose process lives. */
  #current(): ShimClient | undefined {
    return this.#alive ? this.#client : undefined;
  }

  /** A connection to a guest that has the file system mounted, booted for the purpose if none runs. */
  async reachFiles(): Promise<{ readonly connection: ShimConnection; release(): void }> {
    const current = this.#current();
    if (current !== undefined) return { connection: await current.connect(), release: () => {} };
    return this.#turn.run(async () => {
      const started = this.#current();
      if (started !== undefined) return { connection: await started.connect(), release: () => {} };
      if (this.#origin !== undefined)
        throw new BerthError('conflict', `VM ${this.#spec().id} is about to be started; try again`);
      await this.#client?.ended();
      return this.#holder.open();
    });
  }

  /**
   * Ends all shims, none of which must be running its process, and does `work` before another may be started; when that
   * succeeds, none is any more.
   */
  end(work: () => Promise<void>): Promise<void> {
    return this.#turn.run(async () => {
      this.#dismiss('the VM was removed');
      await Promise.all([this.#holder.end(), this.#client?.ended()]);
      await this.#lastOneGone();
      await work();
      this.#removed = true;
    });
  }
}
