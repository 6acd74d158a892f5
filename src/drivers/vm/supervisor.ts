// The shims of one VM over its successive runs, one at a time: for a run, for early attachers, or to hold its file
// system for `files`.

import { join } from 'node:path';
import {
  type AttachOptions,
  BerthError,
  type InstanceSpec,
  isBerthError,
  type ProcessIo,
  type StartOptions,
} from '../../core/index.ts';
import { ShimClient, type ShimConnection, type ShimState } from '../../guest/index.ts';
import { readIfExists } from '../../host/index.ts';
import type { VmOrigin } from './checkpoint.ts';
import { Holder } from './holder.ts';
import { startFields } from './network.ts';
import { cleanAfterShim, prepareCgroup, shimDied, startShim } from './process.ts';

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
  /** Waits for `start` with attachers already on it. */
  #early: Promise<ShimClient> | undefined;

  /** Whether nothing has been written to its disk yet. */
  #pristine: boolean;
  /** What the first run goes on from. */
  #origin: VmOrigin | undefined;

  constructor(spec: () => InstanceSpec, host: VmHost, pristine: boolean, origin?: VmOrigin) {
    this.#pristine = pristine;
    this.#origin = origin;
    this.#spec = spec;
    this.#host = host;
    this.#holder = new Holder(() => this.#launch());
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
  async join(): Promise<ShimState | undefined> {
    const joined = await ShimClient.join(this.#spec().dir).catch((error: unknown) => {
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
    return (await client.quit()) ? undefined : await this.join();
  }

  /** The shim of the current run. */
  client(): ShimClient {
    if (this.#client === undefined)
      throw new BerthError('invalid-state', `VM ${this.#spec().id} is not running`);
    return this.#client;
  }

  async start(options: StartOptions): Promise<ShimState> {
    const fields = startFields(this.#spec(), options);
    const client = await (this.#early ?? this.#launchIdle());
    this.#early = undefined;
    try {
      const state = await client.start(fields);
      this.#use(client);
      this.#host.started(this.#spec(), state);
      return state;
    } catch (error) {
      client.close();
      await client.gone;
      throw await this.#explain(error);
    }
  }

  /** A machine that could not even be started says why in the shim's error file. */
  async #explain(error: unknown): Promise<unknown> {
    if (!isBerthError(error, 'unavailable')) return error;
    const text = (await readIfExists(join(this.#spec().dir, 'shim.err')))?.trim();
    return text ? new BerthError('internal', `${error.message}: ${text}`, { cause: error }) : error;
  }

  /** One that listens already. */
  async #launchReady(): Promise<ShimClient> {
    const client = await this.#launchIdle();
    await client.prepare('state');
    return client;
  }

  async #launchIdle(): Promise<ShimClient> {
    // The last run's machine may still be writing its disk out.
    await this.#client?.gone;
    await this.#holder.end();
    const claimed =
      this.#pristine && this.#origin === undefined ? await this.#host.claim(this.#spec()) : undefined;
    this.#pristine = false;
    return claimed ?? this.#launch();
  }

  async #launch(): Promise<ShimClient> {
    const spec = this.#spec();
    this.#pristine = false;
    if (await shimDied(spec)) await cleanAfterShim(spec);
    const origin = this.#origin;
    this.#origin = undefined;
    await Promise.all([this.#host.writeConfig(spec, origin), prepareCgroup(spec)]);
    return startShim(this.#host.shimPath, spec);
  }

  async attach(options: AttachOptions, early: boolean): Promise<ProcessIo> {
    const { tty } = this.#spec().process;
    if (!early) return this.client().attach(options, tty);
    this.#early ??= this.#launchReady().catch((error: unknown) => {
      this.#early = undefined;
      throw error;
    });
    const client = await this.#early;
    return client.attach(options, tty);
  }

  /** A connection to a guest that has the file system mounted, booted for the purpose if none runs. */
  async reachFiles(): Promise<{ readonly connection: ShimConnection; release(): void }> {
    if (this.#client !== undefined && this.#alive)
      return { connection: await this.#client.connect(), release: () => {} };
    if (this.#early !== undefined || this.#origin !== undefined)
      throw new BerthError('conflict', `VM ${this.#spec().id} is about to be started; try again`);
    await this.#client?.gone;
    return this.#holder.open();
  }

  /** Resolves when no shim is left; none must be running its process. */
  async end(): Promise<void> {
    const early = this.#early;
    this.#early = undefined;
    await early?.then(
      (client) => client.quit(),
      () => {},
    );
    await Promise.all([this.#holder.end(), this.#client?.gone]);
  }
}
