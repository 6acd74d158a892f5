// The daemon's settings.

import type { Transport } from './transport.ts';

export interface SettingView {
  readonly name: string;
  /** As `set` takes it: a number, with a unit for sizes. */
  readonly value: string;
  readonly default: string;
  readonly help: string;
}

export class Config {
  readonly #http: Transport;

  constructor(http: Transport) {
    this.#http = http;
  }

  list(): Promise<SettingView[]> {
    return this.#http.json('GET', '/berth/v1/config');
  }

  async set(name: string, value: string): Promise<void> {
    await this.#http.send('PUT', at(name), { json: { value } });
  }

  /** Gives it its default again. */
  async unset(name: string): Promise<void> {
    await this.#http.send('DELETE', at(name));
  }
}

const at = (name: string) => `/berth/v1/config/${encodeURIComponent(name)}`;
