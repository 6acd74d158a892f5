// One request while it is being answered.

import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Duplex } from 'node:stream';
import { BerthError } from '../../core/index.ts';
import { compareVersions, FieldError } from '../../wire/index.ts';

export interface CallInit {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly socket: Duplex;
  /** Bytes that came behind the head of an upgrade request; absent: no upgrade was asked for. */
  readonly head?: Buffer;
  readonly version: string;
  readonly path: string;
  readonly query: URLSearchParams;
}

export class Call {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly socket: Duplex;
  readonly upgrade: boolean;
  readonly version: string;
  readonly path: string;
  readonly query: URLSearchParams;
  /** Aborted when the client goes away before the answer is complete. */
  readonly signal: AbortSignal;
  /** Of an upgrade request: bytes behind the head that nobody has read yet. */
  pending: Buffer;
  hijacked = false;
  #params: readonly string[] = [];
  readonly #controller = new AbortController();

  constructor(init: CallInit) {
    this.request = init.request;
    this.response = init.response;
    this.socket = init.socket;
    this.upgrade = init.head !== undefined;
    this.pending = init.head ?? Buffer.alloc(0);
    this.version = init.version;
    this.path = init.path;
    this.query = init.query;
    this.signal = this.#controller.signal;
    const gone = () => {
      if (this.hijacked || !this.response.writableFinished) this.#controller.abort();
    };
    (this.upgrade ? this.socket : this.response).once('close', gone);
  }

  /** For a stream that was taken over: the client went away. */
  abort(): void {
    this.#controller.abort();
  }

  setParams(params: readonly string[]): void {
    this.#params = params;
  }

  /** The n-th part of the path that the route left open. */
  param(index = 0): string {
    return this.#params[index] ?? '';
  }

  /** Docker's reading of a truth value in a query: anything but these is true. */
  flag(name: string, absent = false): boolean {
    const value = this.query.get(name);
    if (value === null || value === '') return absent;
    return !['0', 'no', 'false', 'none'].includes(value.trim().toLowerCase());
  }

  /** Text of a parameter; undefined when absent or empty. */
  text(name: string): string | undefined {
    return this.query.get(name) || undefined;
  }

  /** A whole number; undefined when absent or empty. Fails with FieldError. */
  integer(name: string): number | undefined {
    const value = this.text(name);
    if (value === undefined) return undefined;
    if (!/^-?\d{1,15}$/.test(value)) throw new FieldError(name, `'${value}' is not a whole number`);
    return Number(value);
  }

  /** A parameter that must be there. */
  required(name: string): string {
    const value = this.text(name);
    if (value === undefined)
      throw new BerthError('invalid-argument', `bad parameter: ${name} cannot be empty`);
    return value;
  }

  atLeast(version: string): boolean {
    return compareVersions(this.version, version) >= 0;
  }
}
