// A connection that carries a process's stdio, as the streams that the engine hands on.

import { Readable, Writable } from 'node:stream';
import { BerthError, type ExitStatus, type ProcessIo, type TerminalSize } from '../core/index.ts';
import { encodeFields, FRAME, type Frame, HEADER_BYTES, MAX_FRAME_BYTES } from '../formats/frames.ts';
import { failure, type ShimConnection } from './connection.ts';
import { parseExit } from './exit.ts';

const INPUT_PART = 256 << 10;

/**
 * The stdio of a process whose operation (attach, exec) has been opened on a connection. One that is made without waits for
 * `join`: input is kept until then.
 */
export class ShimProcessIo implements ProcessIo {
  readonly output: Readable;
  readonly input: Writable;
  readonly exit: Promise<ExitStatus>;
  readonly #tty: boolean;
  readonly #joined = Promise.withResolvers<ShimConnection>();
  #connection: ShimConnection | undefined;
  #settle: { resolve(status: ExitStatus): void; reject(error: Error): void } | undefined;
  #unbounded = false;

  constructor(tty: boolean, connection?: ShimConnection) {
    this.#tty = tty;
    this.exit = new Promise((resolve, reject) => {
      this.#settle = { resolve, reject };
    });
    // Whoever only reads the output need not care how the process ended.
    this.exit.catch(() => {});
    this.output = new Readable({
      read: () => this.#connection?.resume(),
      destroy: (error, done) => {
        this.#connection?.resume();
        done(error);
      },
    });
    this.input = this.#makeInput();
    if (connection !== undefined) this.join(connection);
  }

  /** One that has ended meanwhile closes the connection. */
  join(connection: ShimConnection): void {
    if (this.#settle === undefined) {
      connection.close();
      return;
    }
    this.#connection = connection;
    connection.receive((frame) => this.#take(frame));
    // Frames may wait for a slow reader when the other end has gone.
    void connection.closed.then(() => connection.emptied()).then(() => this.#lost());
    this.#joined.resolve(connection);
  }

  /**
   * Takes all that is left, whether anyone reads or not: the supervisor is about to end, and the rest is at most what it
   * and its pipes hold.
   */
  takeRest(): void {
    this.#unbounded = true;
    this.#connection?.resume();
  }

  #makeInput(): Writable {
    const send = async (chunk: Buffer) => {
      const connection = await this.#joined.promise;
      for (let at = 0; at < chunk.length; at += INPUT_PART)
        connection.send(FRAME.stdin, chunk.subarray(at, at + INPUT_PART));
      // A process may leave its input unread for as long as it likes.
      await connection.drained({ limitMs: Number.POSITIVE_INFINITY });
    };
    const end = async () => void (await this.#joined.promise).send(FRAME.stdin);
    return new Writable({
      write: (chunk: Buffer, _encoding, done) => void send(chunk).then(() => done(), done),
      final: (done) => void end().then(() => done(), done),
    });
  }

  #take(frame: Frame): boolean {
    if (frame.type === FRAME.stdout || frame.type === FRAME.stderr) return this.#push(frame);
    if (frame.type === FRAME.exit) this.#end(() => this.#settle?.resolve(parseExit(frame.payload)));
    else if (frame.type === FRAME.fail) this.#end(() => this.#settle?.reject(failure(frame.payload)));
    return true;
  }

  #push(frame: Frame): boolean {
    if (frame.payload.length === 0 || this.output.destroyed) return true;
    if (this.#tty) return this.output.push(frame.payload) || this.#unbounded;
    const header = Buffer.alloc(HEADER_BYTES);
    header[0] = frame.type;
    header.writeUInt32BE(Math.min(frame.payload.length, MAX_FRAME_BYTES), 4);
    this.output.push(header);
    return this.output.push(frame.payload) || this.#unbounded;
  }

  #end(settle: () => void): void {
    settle();
    this.#settle = undefined;
    if (!this.output.destroyed) this.output.push(null);
    this.input.destroy();
    this.#connection?.close();
  }

  #lost(): void {
    this.fail(new BerthError('unavailable', 'the connection to the process was lost before its end'));
  }

  /** Ends it without an exit, unless it has ended. */
  fail(error: Error): void {
    if (this.#settle !== undefined) this.#end(() => this.#settle?.reject(error));
  }

  async resize(size: TerminalSize): Promise<void> {
    this.#connection?.send(FRAME.resize, encodeFields({ rows: size.rows, columns: size.columns }));
  }

  signal(number: number): void {
    this.#connection?.send(FRAME.signal, encodeFields({ signal: number }));
  }

  close(): void {
    // Output that waits for a reader is dropped.
    this.output.destroy();
    if (this.#connection === undefined) this.#lost();
    else this.#connection.close();
  }
}
