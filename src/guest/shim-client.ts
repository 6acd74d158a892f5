// A shim as its driver sees it: one main process, its life and its connections.

import type { Socket } from 'node:net';
import {
  type AttachOptions,
  BerthError,
  type ExitStatus,
  errorMessage,
  isBerthError,
  type State,
  type TerminalSize,
} from '../core/index.ts';
import { FRAME } from '../formats/frames.ts';
import { type Patience, settlesWithin } from '../host/patience.ts';
import { connectShim, type Fields, type FieldValues, failure, field, ShimConnection } from './connection.ts';
import { parseExit } from './exit.ts';
import { END_LIMIT_MS, SIGNAL_LIMIT_MS, START_LIMIT_MS } from './limits.ts';
import { ShimProcessIo } from './process-io.ts';
import { killShim } from './shim-process.ts';

export interface ShimState {
  readonly state: State | 'starting' | 'held';
  readonly pid?: number;
  readonly startedAt?: string;
  readonly oomKilled: boolean;
  /** A VM that did not boot: where it came from. */
  readonly forked?: 'fork' | 'pool' | 'restore';
  /** A VM that booted because it could not be forked, and why. */
  readonly forkFailure?: string;
}

function parseState(fields: Fields): ShimState {
  const name = field(fields, 'state');
  const pid = Number(field(fields, 'pid') ?? 0);
  const startedAt = field(fields, 'started');
  const failed = field(fields, 'fork_failure');
  const forked = (['fork', 'pool', 'restore'] as const).find((origin) => origin === field(fields, 'boot'));
  const known = (['created', 'starting', 'running', 'paused', 'exited', 'held'] as const).find(
    (state) => state === name,
  );
  return {
    state: known ?? 'unknown',
    oomKilled: field(fields, 'oom') === '1',
    ...(pid === 0 ? {} : { pid }),
    ...(startedAt === undefined ? {} : { startedAt }),
    ...(forked === undefined ? {} : { forked }),
    ...(failed === undefined ? {} : { forkFailure: failed }),
  };
}

/**
 * The control connection of a shim and what is asked over further ones. `gone` resolves when the shim has ended, after
 * it removed all it had made outside its folder.
 */
export class ShimClient {
  readonly dir: string;
  readonly #control: ShimConnection;
  /** Open streams of processes. */
  readonly #streams = new Set<ShimProcessIo>();
  readonly gone: Promise<void>;
  /** Of the main process; rejects with `unavailable` when the shim ended without telling. */
  readonly exit: Promise<ExitStatus>;
  #oomKilled = false;
  #onOomKill: (() => void) | undefined;
  /** An OOM kill was reported before `#onOomKill` was set. */
  #unheardOomKill = false;
  #settleExit: { resolve(status: ExitStatus): void; reject(error: Error): void } | undefined;

  constructor(dir: string, control: ShimConnection) {
    this.dir = dir;
    this.#control = control;
    this.gone = control.closed;
    this.exit = new Promise((resolve, reject) => {
      this.#settleExit = { resolve, reject };
    });
    const ended = () => {
      this.#settleExit = undefined;
      this.#takeRests();
    };
    this.exit.then(ended, ended);
    void control.closed.then(() =>
      this.#settleExit?.reject(
        new BerthError('unavailable', `the supervisor in ${dir} ended without an exit status`),
      ),
    );
  }

  /** The client of a shim just started, by the socket it was given as file descriptor 3. */
  static started(dir: string, socket: Socket): ShimClient {
    return new ShimClient(dir, new ShimConnection(socket));
  }

  /**
   * Joins a running shim, one that is starting its process when it has done so: both may take as long as the shim likes,
   * and end with it or by the signal. Fails with `unavailable` when there is none or that start failed.
   */
  static async join(dir: string, signal?: AbortSignal): Promise<{ client: ShimClient; state: ShimState }> {
    const patience = { limitMs: Number.POSITIVE_INFINITY, ...(signal === undefined ? {} : { signal }) };
    const control = await connectShim(dir);
    try {
      const client = new ShimClient(dir, control);
      const state = parseState(await control.request('state', {}, patience));
      if (state.state === 'created' || state.state === 'held') return { client, state };
      const now = parseState(await control.request('wait', {}, patience));
      client.#oomKilled = now.oomKilled;
      client.#awaitExit();
      return { client, state: now };
    } catch (cause) {
      control.close();
      if (isBerthError(cause, 'cancelled')) throw cause;
      throw new BerthError('unavailable', `the supervisor in ${dir} is ending: ${errorMessage(cause)}`, {
        cause,
      });
    }
  }

  #awaitExit(): void {
    this.#control.receive((frame) => {
      if (frame.type === FRAME.exit) this.#settleExit?.resolve(parseExit(frame.payload));
      if (frame.type === FRAME.oom) this.#tellOomKill();
      if (frame.type === FRAME.fail) this.#settleExit?.reject(failure(frame.payload));
      return true;
    });
  }

  #tellOomKill(): void {
    this.#oomKilled = true;
    if (this.#onOomKill === undefined) this.#unheardOomKill = true;
    else this.#onOomKill();
  }

  /** Whether the memory limit has made the kernel kill a process of the run. */
  get oomKilled(): boolean {
    return this.#oomKilled;
  }

  /** Calls at each burst of such kills from now on, and at once for one that nobody has heard of. */
  onOomKill(call: () => void): void {
    this.#onOomKill = call;
    if (this.#unheardOomKill) call();
    this.#unheardOomKill = false;
  }

  /** A one-shot operation before `start`, over the control connection: also tells that the shim is ready. */
  prepare(op: string, fields: FieldValues = {}): Promise<Fields> {
    return this.#control.request(op, fields, { limitMs: START_LIMIT_MS });
  }

  /** Starts the main process; afterwards `exit` will settle. A start that is cancelled or late goes on until its shim is killed. */
  async start(fields: FieldValues, signal?: AbortSignal): Promise<ShimState> {
    const patience = { limitMs: START_LIMIT_MS, ...(signal === undefined ? {} : { signal }) };
    const state = parseState(await this.#control.request('start', fields, patience));
    this.#awaitExit();
    return state;
  }

  /** Mounts the file system without a process, until `close`. */
  async hold(fields: FieldValues): Promise<void> {
    await this.prepare('hold', fields);
  }

  async state(): Promise<ShimState> {
    return parseState(await this.#ask('state'));
  }

  /** From now on this connection alone does not keep the process alive. */
  unref(): void {
    this.#control.unref();
  }

  ref(): void {
    this.#control.ref();
  }

  /** The same shim after it has moved to another folder; this one is not to be used any more. */
  at(dir: string): ShimClient {
    return new ShimClient(dir, this.#control);
  }

  /** A connection of one's own; close it after use. */
  connect(): Promise<ShimConnection> {
    return connectShim(this.dir);
  }

  async #ask(op: string, fields: FieldValues = {}, patience: Patience = {}): Promise<Fields> {
    const connection = await this.connect();
    try {
      return await connection.request(op, fields, patience);
    } finally {
      connection.close();
    }
  }

  async signal(number: number): Promise<void> {
    await this.#ask('signal', { signal: number }, { limitMs: SIGNAL_LIMIT_MS });
  }

  async resize(size: TerminalSize): Promise<void> {
    await this.#ask('resize', { rows: size.rows, columns: size.columns });
  }

  /** A one-shot operation over a connection of its own. */
  ask(op: string, fields: FieldValues = {}, patience: Patience = {}): Promise<Fields> {
    return this.#ask(op, fields, patience);
  }

  /** With `io`, one that waited for this is it from now on. */
  async attach(options: AttachOptions, tty: boolean, io?: ShimProcessIo): Promise<ShimProcessIo> {
    return (await this.#open('attach', { ...options }, tty, io)).io;
  }

  /** Runs one more process; the fields are the isolation's own. */
  async exec(fields: FieldValues, tty: boolean): Promise<{ io: ShimProcessIo; opened: Fields }> {
    return this.#open('exec', fields, tty);
  }

  async #open(op: string, fields: FieldValues, tty: boolean, io = new ShimProcessIo(tty)) {
    const connection = await this.connect();
    try {
      const opened = await connection.request(op, fields);
      io.join(connection);
      return { io: this.keep(io), opened };
    } catch (error) {
      connection.close();
      throw error;
    }
  }

  /**
   * To be told of each stream of a process: a shim waits a limited time for those who read slowly, so that what it still
   * holds is taken when its main process has ended.
   */
  keep(io: ShimProcessIo): ShimProcessIo {
    if (this.#settleExit === undefined) io.takeRest();
    this.#streams.add(io);
    const forget = () => this.#streams.delete(io);
    io.exit.then(forget, forget);
    return io;
  }

  #takeRests(): void {
    for (const io of this.#streams) io.takeRest();
  }

  /**
   * Ends a shim that has no process, over the control connection; resolves to true when it has gone, to false when it has a
   * process by now: then it lives on. A shim that does not go is killed.
   */
  async quit(): Promise<boolean> {
    this.ref();
    const failed = await this.#control.request('quit', {}, { limitMs: SIGNAL_LIMIT_MS }).then(
      () => undefined,
      (error: unknown) => error,
    );
    const refused = isBerthError(failed, 'invalid-state');
    if (refused) this.#control.close();
    else await this.ended(isBerthError(failed, 'timeout') ? 0 : END_LIMIT_MS);
    return !refused;
  }

  /** Resolves when the shim has gone; one that takes too long to clean up is killed. */
  async ended(limitMs: number = END_LIMIT_MS): Promise<void> {
    if (await settlesWithin(this.gone, limitMs)) return;
    await killShim(this.dir);
    this.#control.close();
  }

  /** Lets go; the shim and its workload live on. */
  close(): void {
    this.#settleExit = undefined;
    this.#control.close();
  }
}
