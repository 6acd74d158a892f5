// The shim of one container over its successive runs: one is started when needed and ends by itself.

import { readFileSync } from 'node:fs';
import { release } from 'node:os';
import { join } from 'node:path';
import {
  type AttachOptions,
  BerthError,
  type ExitStatus,
  type InstanceSpec,
  isBerthError,
  type ProcessIo,
  type StartOptions,
} from '../../core/index.ts';
import {
  askIdentity,
  type Identity,
  networkFields,
  type ShimClient,
  type ShimConnection,
  type ShimState,
} from '../../guest/index.ts';
import { diskNumber } from '../../host/block-device.ts';
import { readIfExists } from '../../host/files.ts';
import { Mutex } from '../../host/mutex.ts';
import { endContainer } from './adopt.ts';
import { capabilitiesOf } from './capabilities.ts';
import { ociConfig } from './config.ts';
import { bindSource, filesOf, type HostFiles, outerFirst, preparedBinds } from './config-mounts.ts';
import type { DriverContext } from './context.ts';
import { devicesOf } from './devices.ts';
import { spawnShim } from './process.ts';
import { customSeccomp, defaultSeccomp, type OciSeccomp } from './seccomp.ts';

/** A shim that is there for files or early attachers, before or between runs. */
interface Idle {
  readonly client: ShimClient;
  /** Resolves when it answers. */
  readonly ready: Promise<unknown>;
  /** What it is needed for; at 0 it is ended. */
  users: number;
  /** Resolves when the file system can be reached. */
  held: Promise<void> | undefined;
}

/** How many identities are kept at most; more are asked for again. */
const MOST_IDENTITIES = 1000;

/** The filter of a spec, or undefined for none. */
export function seccompOf(spec: InstanceSpec, context: DriverContext): OciSeccomp | undefined {
  const { security } = spec;
  if (security.seccomp === 'unconfined' || security.privileged) return undefined;
  const capabilities = capabilitiesOf(security, context.traits.capabilities);
  if (security.seccomp === 'default') return defaultSeccomp(capabilities, context.traits.arch);
  return customSeccomp(security.seccomp, { capabilities, arch: context.traits.arch, kernel: release() });
}

function hostFiles(spec: InstanceSpec): HostFiles {
  if (spec.network !== 'host') return { hosts: '', resolvConf: '' };
  const read = (path: string) => {
    try {
      return readFileSync(path, 'utf8');
    } catch {
      return '';
    }
  };
  return { hosts: read('/etc/hosts'), resolvConf: read('/etc/resolv.conf') };
}

export class ContainerSupervisor {
  readonly #context: DriverContext;
  readonly #spec: () => InstanceSpec;
  /** Whether the writable layer may hold users that the image does not. */
  #changed: boolean;
  #client: ShimClient | undefined;
  /** Whether the main process of `#client` has not ended: after that it only cleans up. */
  #running = false;
  /** The lock under which a shim is looked for, made or ended: there is at most one. */
  readonly #turn = new Mutex();
  #idle: Idle | undefined;
  #removed = false;

  constructor(
    context: DriverContext,
    spec: () => InstanceSpec,
    changed: boolean,
    client: ShimClient | undefined,
  ) {
    this.#context = context;
    this.#spec = spec;
    this.#changed = changed;
    if (client !== undefined) this.#adopt(client);
  }

  #adopt(client: ShimClient): void {
    this.#client = client;
    this.#running = true;
    const ended = () => {
      if (this.#client === client) this.#running = false;
    };
    client.exit.then(ended, ended);
    void client.gone.then(() => {
      if (this.#client === client) this.#client = undefined;
    });
  }

  /** The shim of the current run. */
  client(): ShimClient {
    if (this.#client === undefined)
      throw new BerthError('invalid-state', `container ${this.#spec().id} is not running`);
    return this.#client;
  }

  exit(): Promise<ExitStatus> {
    return this.client().exit;
  }

  noteChanged(): void {
    this.#changed = true;
  }

  /** Starts the main process in a shim that is waiting or in a new one. */
  start(options: StartOptions): Promise<ShimState> {
    return this.#turn.run(() => this.#start(options));
  }

  async #start(options: StartOptions): Promise<ShimState> {
    const client = await this.#forStart();
    try {
      const identity = await this.#identity(client);
      this.#changed = true;
      const state = await client.start(this.#startFields(identity, options));
      this.#adopt(client);
      return state;
    } catch (error) {
      const explained = await this.#explain(error);
      if (isBerthError(error, 'timeout')) await endContainer(this.#spec());
      await client.quit();
      throw explained;
    }
  }

  async #forStart(): Promise<ShimClient> {
    await this.#lastOneGone();
    const idle = this.#idle;
    if (idle === undefined) return this.#spawn();
    this.#idle = undefined;
    await idle.ready;
    await idle.held;
    return idle.client;
  }

  /** The shim before may still be cleaning up, in the very folders that the next one needs. */
  async #lastOneGone(): Promise<void> {
    await Promise.all([this.#client?.ended(), this.#ending]);
  }

  async #spawn(): Promise<ShimClient> {
    if (this.#removed) throw new BerthError('invalid-state', `container ${this.#spec().id} is removed`);
    return spawnShim(this.#context.shimPath, await this.#context.runtimePath(), this.#spec());
  }

  /** A shim that could not even begin says why in its error file. */
  async #explain(error: unknown): Promise<unknown> {
    if (!(error instanceof BerthError) || error.code !== 'unavailable') return error;
    const text = (await readIfExists(join(this.#spec().dir, 'shim.err')))?.trim();
    return text
      ? new BerthError('internal', `the supervisor could not start: ${text}`, { cause: error })
      : error;
  }

  async #identity(client: ShimClient): Promise<Identity> {
    const spec = this.#spec();
    const { user, additionalGroups } = spec.process;
    const ask = () => askIdentity((op, fields) => client.prepare(op, fields), spec.process, holdFields(spec));
    if (this.#changed || spec.mounts.some((entry) => entry.type === 'bind')) return ask();
    const { identities } = this.#context;
    const key = JSON.stringify([spec.rootfs.imageId, user, additionalGroups]);
    const known = identities.get(key);
    if (known !== undefined) return known;
    const identity = await ask();
    // Users are what clients name: there is no end of them.
    if (identities.size >= MOST_IDENTITIES) identities.clear();
    identities.set(key, identity);
    return identity;
  }

  #startFields(identity: Identity, { size, network }: StartOptions) {
    const spec = this.#spec();
    const seccomp = seccompOf(spec, this.#context);
    const seccompBpf = seccomp === undefined ? undefined : this.#context.compiled(seccomp);
    const config = ociConfig({
      spec,
      host: this.#context.traits,
      identity,
      devices: devicesOf(spec),
      diskNumber,
      ...(seccomp === undefined ? {} : { seccomp }),
      ...(seccompBpf === undefined ? {} : { seccompBpf }),
      ...(size === undefined ? {} : { size }),
    });
    return {
      rows: size?.rows,
      columns: size?.columns,
      config,
      source: preparedBinds(spec),
      mount: mountFields(spec),
      file: Object.entries(filesOf(spec, hostFiles(spec), network)).flat(),
      ...networkFields(network),
    };
  }

  /** Attaches to the process that runs, or to the next one. */
  async attach(options: AttachOptions): Promise<ProcessIo> {
    const { tty } = this.#spec().process;
    if (this.#client !== undefined && this.#running) return this.#client.attach(options, tty);
    const idle = await this.#waiting(false);
    const io = await idle.client.attach(options, tty);
    const release = () => this.#release(idle);
    io.exit.then(release, release);
    return io;
  }

  /** A connection to a shim that has the file system mounted. */
  async reachFiles(): Promise<{ connection: ShimConnection; release(): void }> {
    if (this.#client !== undefined && this.#running)
      return { connection: await this.#client.connect(), release: () => {} };
    const idle = await this.#waiting(true);
    try {
      return { connection: await idle.client.connect(), release: () => this.#release(idle) };
    } catch (error) {
      this.#release(idle);
      throw error;
    }
  }

  #waiting(held: boolean): Promise<Idle> {
    return this.#turn.run(() => this.#getIdle(held));
  }

  async #getIdle(held: boolean): Promise<Idle> {
    // Started while we waited for our turn: that shim will do.
    if (this.#client !== undefined && this.#running)
      return { client: this.#client, ready: Promise.resolve(), users: 0, held: undefined };
    await this.#lastOneGone();
    const idle = this.#idle ?? (await this.#makeIdle());
    idle.users++;
    try {
      await idle.ready;
      if (held && idle.held === undefined) idle.held = idle.client.hold(holdFields(this.#spec()));
      if (held) await idle.held;
      return idle;
    } catch (error) {
      this.#release(idle);
      throw await this.#explain(error);
    }
  }

  async #makeIdle(): Promise<Idle> {
    const client = await this.#spawn();
    const idle: Idle = { client, ready: client.prepare('state'), users: 0, held: undefined };
    this.#idle = idle;
    void client.gone.then(() => {
      if (this.#idle === idle) this.#idle = undefined;
    });
    return idle;
  }

  #release(idle: Idle): void {
    idle.users--;
    if (idle.users > 0 || this.#idle !== idle) return;
    this.#idle = undefined;
    // The next start reports a shim that could not be ended.
    this.#ending = idle.client.quit().catch(() => {});
  }

  #ending: Promise<unknown> = Promise.resolve();

  /**
   * Ends all shims, none of which must be running its process, and does `work` before another may be started; when that
   * succeeds, none is any more.
   */
  end(work: () => Promise<void>): Promise<void> {
    return this.#turn.run(async () => {
      const idle = this.#idle;
      this.#idle = undefined;
      await Promise.all([this.#client?.ended(), idle?.client.quit(), this.#ending]);
      await work();
      this.#removed = true;
    });
  }
}

/** Fields of what will be mounted, for operations before the start. */
function holdFields(spec: InstanceSpec): { readonly source: string[]; readonly mount: string[] } {
  return { source: preparedBinds(spec), mount: mountFields(spec) };
}

/** Source, target and mode of each bind in turn, outer ones first. */
function mountFields(spec: InstanceSpec): string[] {
  return outerFirst(spec.mounts).flatMap((entry) =>
    entry.type === 'bind' ? [bindSource(spec, entry), entry.target, entry.readonly ? 'ro' : 'rw'] : [],
  );
}
