// One connection to a shim: frames over a Unix socket.

import { open } from 'node:fs/promises';
import { connect, type Socket } from 'node:net';
import { join } from 'node:path';
import { BerthError, ERROR_CODES, type ErrorCode } from '../core/index.ts';
import {
  decodeFields,
  encodeFields,
  encodeFrame,
  type FieldValue,
  FRAME,
  type Frame,
  FrameDecoder,
  MAX_FRAME_BYTES,
} from '../formats/frames.ts';
import { visibleText } from '../formats/visible.ts';
import { type Patience, within } from '../host/patience.ts';
import { ANSWER_LIMIT_MS } from './limits.ts';

/** The fields of a control frame, each key with its values in order. */
export type Fields = ReadonlyMap<string, readonly string[]>;
export type FieldValues = Readonly<Record<string, FieldValue>>;

/** The first value of a field. */
export function field(fields: Fields, key: string): string | undefined {
  return fields.get(key)?.[0];
}

/** Supervisors and guests go on as they were when the daemon is replaced. */
const OTHER_VERSION = ': the workload was started by another version of Berth; restart it to do this';

/** What a FAIL frame says, as our error. */
export function failure(payload: Buffer): BerthError {
  const fields = decodeFields(payload);
  const code =
    ERROR_CODES.find((known) => known === field(fields, 'code')) ?? ('internal' satisfies ErrorCode);
  const status = Number(field(fields, 'status') ?? 0);
  const message = visibleText(field(fields, 'message') ?? 'the supervisor gave no reason');
  const remedy = message.startsWith('unknown operation') ? OTHER_VERSION : '';
  return new BerthError(code, message + remedy, {
    ...(status === 126 || status === 127 ? { exitStatus: status } : {}),
  });
}

/** A path longer than this does not fit into a socket address. */
const MAX_SOCKET_PATH = 107;

/**
 * Connects to the shim of an instance folder. Fails with `unavailable` when none listens, with `timeout` when one does
 * that takes no more connections.
 */
export async function connectShim(dir: string): Promise<ShimConnection> {
  const path = join(dir, 'shim.sock');
  if (Buffer.byteLength(path) <= MAX_SOCKET_PATH) return connectTo(path, dir);
  const folder = await open(dir).catch((cause) => {
    throw new BerthError('unavailable', `no supervisor answers in ${dir}`, { cause });
  });
  try {
    return await connectTo(`/proc/self/fd/${folder.fd}/shim.sock`, dir);
  } finally {
    await folder.close();
  }
}

function connectTo(path: string, dir: string): Promise<ShimConnection> {
  return new Promise((resolve, reject) => {
    const socket = connect(path);
    const refuse = (cause: NodeJS.ErrnoException) => {
      // The shim's queue of connections is full: the shim lives, and takes none of them.
      const stuck = cause.code === 'EAGAIN';
      reject(
        stuck
          ? new BerthError('timeout', `the supervisor in ${dir} takes no connections`, { cause })
          : new BerthError('unavailable', `no supervisor answers in ${dir}`, { cause }),
      );
    };
    socket.once('error', refuse);
    socket.once('connect', () => {
      socket.off('error', refuse);
      resolve(new ShimConnection(socket));
    });
  });
}

/** Receives the frames of a connection; false asks to hold further ones back until `resume`. */
export type OnFrame = (frame: Frame) => boolean;

/** A time limit for doing nothing. */
export interface StallWatch {
  /** Something was done. */
  readonly moved: () => void;
  readonly end: () => void;
}

export class ShimConnection {
  readonly #socket: Socket;
  readonly #decoder = new FrameDecoder();
  #queue: Frame[] = [];
  #onFrame: OnFrame | undefined;
  #held = false;
  #emptied: (() => void) | undefined;
  #error: Error | undefined;
  /** Resolves when the other end has gone or `close` was called; frames may still be held back. Never rejects. */
  readonly closed: Promise<void>;

  constructor(socket: Socket) {
    this.#socket = socket;
    this.closed = new Promise((resolve) => socket.once('close', () => resolve()));
    socket.on('error', (error) => {
      this.#error = error;
    });
    socket.on('data', (chunk: Buffer) => this.#receive(chunk));
  }

  /** Why the connection ended, if not in peace. */
  get error(): Error | undefined {
    return this.#error;
  }

  /** Does this connection keep the process alive? By default it does. */
  unref(): void {
    this.#socket.unref();
  }

  ref(): void {
    this.#socket.ref();
  }

  #receive(chunk: Buffer): void {
    try {
      this.#queue.push(...this.#decoder.push(chunk));
    } catch (error) {
      this.#socket.destroy(error as Error);
      return;
    }
    this.#deliver();
  }

  #deliver(): void {
    while (this.#onFrame !== undefined && !this.#held) {
      const frame = this.#queue.shift();
      if (frame === undefined) break;
      if (!this.#onFrame(frame)) this.hold();
    }
    if (this.#queue.length === 0) this.#emptied?.();
  }

  /** Resolves when no frame is held back any more: who reads slowly may still be reading when the other end has gone. */
  emptied(): Promise<void> {
    if (this.#queue.length === 0) return Promise.resolve();
    return new Promise((resolve) => {
      this.#emptied = resolve;
    });
  }

  /** Takes over all frames from now on, those that wait included. */
  receive(onFrame: OnFrame | undefined): void {
    this.#onFrame = onFrame;
    this.#deliver();
  }

  /** Whether frames wait for `resume`. */
  get held(): boolean {
    return this.#held;
  }

  hold(): void {
    this.#held = true;
    this.#socket.pause();
  }

  resume(): void {
    if (!this.#held) return;
    this.#held = false;
    this.#deliver();
    if (!this.#held) this.#socket.resume();
  }

  /** Calls `stalled` when no frame came for too long although somebody reads. */
  watchStall(stalled: (error: BerthError) => void): StallWatch {
    const look = () => {
      if (this.#held || this.#queue.length > 0) timer.refresh();
      else stalled(new BerthError('timeout', `the supervisor was silent for ${ANSWER_LIMIT_MS / 1000} s`));
    };
    const timer = setTimeout(look, ANSWER_LIMIT_MS);
    return { moved: () => timer.refresh(), end: () => clearTimeout(timer) };
  }

  /** Sends a frame; false asks to wait for `drained`. */
  send(type: number, payload: Uint8Array | string = ''): boolean {
    if (this.#socket.destroyed) return true;
    return this.#socket.write(encodeFrame(type, payload));
  }

  /** Resolves when more may be sent, or the connection is gone. Fails with `timeout` when the other end takes nothing. */
  drained(patience: Patience = { limitMs: ANSWER_LIMIT_MS }): Promise<void> {
    return within(this.#drained(), patience, 'the supervisor, sent more than it takes,');
  }

  #drained(): Promise<void> {
    // Only a buffer that was full once says that it has drained.
    if (this.#socket.destroyed || !this.#socket.writableNeedDrain) return Promise.resolve();
    return new Promise((resolve) => {
      const done = () => {
        this.#socket.off('drain', done);
        this.#socket.off('close', done);
        resolve();
      };
      this.#socket.once('drain', done);
      this.#socket.once('close', done);
    });
  }

  /**
   * Opens an operation and resolves to the fields of its OPENED frame; frames after it wait for `receive`. Fails with
   * what the other end says, with `unavailable` when it goes without a word, or with `timeout` or `cancelled`: then the
   * connection is of no more use, as the answer may still come.
   */
  request(op: string, fields: FieldValues = {}, patience: Patience = {}): Promise<Fields> {
    const limits = { limitMs: ANSWER_LIMIT_MS, ...patience };
    return within(this.#answer(op, fields), limits, `the supervisor, asked for ${op},`);
  }

  #answer(op: string, fields: FieldValues): Promise<Fields> {
    const asked = encodeFields({ op, ...fields });
    if (asked.length > MAX_FRAME_BYTES)
      return Promise.reject(
        new BerthError(
          'invalid-argument',
          `the process's arguments and environment are too long: with all else it needs they are ${asked.length} bytes, and there may be ${MAX_FRAME_BYTES}`,
        ),
      );
    return new Promise((resolve, reject) => {
      const gone = () =>
        reject(new BerthError('unavailable', `the supervisor ended during ${op}`, { cause: this.#error }));
      this.#socket.once('close', gone);
      this.receive((frame) => {
        if (frame.type !== FRAME.opened && frame.type !== FRAME.fail) return true;
        this.#onFrame = undefined;
        this.#socket.off('close', gone);
        if (frame.type === FRAME.opened) resolve(decodeFields(frame.payload));
        else reject(failure(frame.payload));
        return true;
      });
      if (this.#socket.destroyed) gone();
      else this.send(FRAME.open, asked);
    });
  }

  close(): void {
    this.#socket.destroy();
  }
}
