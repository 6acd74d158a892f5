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
import { connectShim, type Fields, type FieldValues, failure, field, ShimConnection } from './connection.ts';
import { parseExit } from './exit.ts';
import { ShimProcessIo } from './process-io.ts';

export interface ShimState {
  readonly state: State | 'starting' | 'held';
  readonly pid?: number;
  readonly startedAt?: string;
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
  readonly gone: Promise<void>;
  /** Of the main process; rejects with `unavailable` when the shim ended without telling. */
  readonly exit: Promise<ExitStatus>;
  #settleExit: { resolve(status: ExitStatus): void; reject(error: Error): void } | undefined;

  constructor(dir: string, control: ShimConnection) {
    this.dir = dir;
    this.#control = control;
    this.gone = control.closed;
    this.exit = new Promise((resolve, reject) => {
      this.#settleExit = { resolve, reject };
    });
    this.exit.catch(() => {});
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
   * Joins a running shim, one that is starting its process when it has done so. Fails with `unavailable` when there is none
   * or that start failed.
   */
  static async join(dir: string): Promise<{ client: ShimClient; state: ShimState }> {
    const control = await connectShim(dir);
    const client = new ShimClient(dir, control);
    const state = parseState(await control.request('state'));
    if (state.state === 'created' || state.state === 'held') return { client, state };
    const now = await control.request('wait').then(parseState, (cause: unknown) => {
      throw new BerthError('unavailable', `the supervisor in ${dir} is ending: ${errorMessage(cause)}`, {
        cause,
      });
    });
    client.#awaitExit();
    return { client, state: now };
  }

  #awaitExit(): void {
    this.#control.receive((frame) => {
      if (frame.type === FRAME.exit) this.#settleExit?.resolve(parseExit(frame.payload));
      if (frame.type === FRAME.fail) this.#settleExit?.reject(failure(frame.payload));
      return true;
    });
  }

  /** A one-shot operation before `start`, over the control connection: also tells that the shim is ready. */
  prepare(op: string, fields: FieldValues = {}): Promise<Fields> {
    return this.#control.request(op, fields);
  }

  /** Starts the main process; afterwards `exit` will settle. */
  async start(fields: FieldValues): Promise<ShimState> {
    const state = parseState(await this.#control.request('start', fields));
    this.#awaitExit();
    return state;
  }

  /** Mounts the file system without a process, until `close`. */
  async hold(fields: FieldValues): Promise<void> {
    await this.#control.request('hold', fields);
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

  async #ask(op: string, fields: FieldValues = {}): Promise<Fields> {
    const connection = await this.connect();
    try {
      return await connection.request(op, fields);
    } finally {
      connection.close();
    }
  }

  async signal(number: number): Promise<void> {
    await this.#ask('signal', { signal: number });
  }

  async resize(size: TerminalSize): Promise<void> {
    await this.#ask('resize', { rows: size.rows, columns: size.columns });
  }

  /** A one-shot operation over a connection of its own. */
  ask(op: string, fields: FieldValues = {}): Promise<Fields> {
    return this.#ask(op, fields);
  }

  async attach(options: AttachOptions, tty: boolean): Promise<ShimProcessIo> {
    const connection = await this.connect();
    return this.#open(connection, 'attach', { ...options }, tty).then(({ io }) => io);
  }

  /** Runs one more process; the fields are the isolation's own. */
  async exec(fields: FieldValues, tty: boolean): Promise<{ io: ShimProcessIo; opened: Fields }> {
    const connection = await this.connect();
    return this.#open(connection, 'exec', fields, tty);
  }

  async #open(connection: ShimConnection, op: string, fields: FieldValues, tty: boolean) {
    try {
      const opened = await connection.request(op, fields);
      return { io: new ShimProcessIo(connection, tty), opened };
    } catch (error) {
      connection.close();
      throw error;
    }
  }

  /**
   * Ends a shim that has no process, over the control connection; resolves to true when it has gone, to false when it has a
   * process by now: then it lives on.
   */
  async quit(): Promise<boolean> {
    this.ref();
    const refused = await this.#control.request('quit').then(
      () => false,
      (error: unknown) => {
        this.#control.close();
        return isBerthError(error, 'invalid-state');
      },
    );
    await this.gone;
    return !refused;
  }

  /** Lets go; the shim and its workload live on. */
  close(): void {
    this.#settleExit = undefined;
    this.#control.close();
  }
}
