// More processes in a running workload.

import type { RawStream } from './call.ts';
import type { CallSignal } from './containers.ts';
import { signalOf } from './containers.ts';
import type { Transport } from './transport.ts';
import type { ExecDetails, ExecRequest } from './types.ts';

export class Execs {
  readonly #http: Transport;

  constructor(http: Transport) {
    this.#http = http;
  }

  async create(container: string, request: ExecRequest): Promise<string> {
    const path = `/containers/${encodeURIComponent(container)}/exec`;
    return (await this.#http.json<{ Id: string }>('POST', path, { json: request })).Id;
  }

  /** Starts it and connects to its stdio. */
  start(
    id: string,
    options: { tty?: boolean; rows?: number; columns?: number } & CallSignal = {},
  ): Promise<RawStream> {
    const { tty = false, rows, columns } = options;
    const size = rows === undefined || columns === undefined ? {} : { ConsoleSize: [rows, columns] };
    const json = { Detach: false, Tty: tty, ...size };
    return this.#http.upgrade('POST', `${at(id)}/start`, { json, ...signalOf(options) });
  }

  async startDetached(id: string): Promise<void> {
    await this.#http.send('POST', `${at(id)}/start`, { json: { Detach: true, Tty: false } });
  }

  inspect(id: string): Promise<ExecDetails> {
    return this.#http.json('GET', `${at(id)}/json`);
  }

  async resize(id: string, size: { readonly rows: number; readonly columns: number }): Promise<void> {
    await this.#http.send('POST', `${at(id)}/resize`, { query: { h: size.rows, w: size.columns } });
  }
}

function at(id: string): string {
  return `/exec/${encodeURIComponent(id)}`;
}
