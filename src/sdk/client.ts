// One client for one daemon; a room of the API is made when it is first used.

import { type Address, DEFAULT_HOST, parseAddress } from './address.ts';
import type { Box, BoxOptions } from './box.ts';
import { Checkpoints } from './checkpoints.ts';
import { type CompareMessage, compare } from './compare.ts';
import { Config } from './config.ts';
import { Containers } from './containers.ts';
import { dialFast } from './dial.ts';
import { Execs } from './execs.ts';
import { Images } from './images.ts';
import type { Dial } from './link.ts';
import { Networks } from './networks.ts';
import { Policies } from './policies.ts';
import { System, Volumes } from './system.ts';
import { Transport } from './transport.ts';

export interface ConnectOptions {
  /** unix:///path or tcp://host:port; absent: unix:///run/berth/berth.sock. */
  readonly host?: string;
  /** How connections are made; absent: the runtime's quickest. */
  readonly dial?: Dial;
}

export class BerthClient implements Disposable {
  readonly http: Transport;
  #containers: Containers | undefined;
  #images: Images | undefined;
  #execs: Execs | undefined;
  #checkpoints: Checkpoints | undefined;
  #config: Config | undefined;
  #volumes: Volumes | undefined;
  #networks: Networks | undefined;
  #policies: Policies | undefined;
  #system: System | undefined;

  constructor(http: Transport) {
    this.http = http;
  }

  get address(): Address {
    return this.http.address;
  }

  get containers(): Containers {
    this.#containers ??= new Containers(this.http);
    return this.#containers;
  }

  get images(): Images {
    this.#images ??= new Images(this.http);
    return this.#images;
  }

  get execs(): Execs {
    this.#execs ??= new Execs(this.http);
    return this.#execs;
  }

  get checkpoints(): Checkpoints {
    this.#checkpoints ??= new Checkpoints(this.http);
    return this.#checkpoints;
  }

  get config(): Config {
    this.#config ??= new Config(this.http);
    return this.#config;
  }

  get volumes(): Volumes {
    this.#volumes ??= new Volumes(this.http);
    return this.#volumes;
  }

  get policies(): Policies {
    this.#policies ??= new Policies(this.http);
    return this.#policies;
  }

  get networks(): Networks {
    this.#networks ??= new Networks(this.http);
    return this.#networks;
  }

  get system(): System {
    this.#system ??= new System(this.http);
    return this.#system;
  }

  /** Runs a command in a new workload; resolves once it runs. It is removed at its end unless it is to be kept. */
  async run(image: string, command: readonly string[] = [], options: BoxOptions = {}): Promise<Box> {
    const { runBox } = await import('./box.ts');
    return runBox(this, image, command, options);
  }

  /** Measures the same image under each isolation; yields progress, then the report. */
  compare<Progress = unknown, Report = unknown>(
    request: object,
    options: { readonly signal?: AbortSignal } = {},
  ): AsyncGenerator<CompareMessage<Progress, Report>, void> {
    return compare(this.http, request, options);
  }

  close(): void {
    this.http.close();
  }

  [Symbol.dispose](): void {
    this.close();
  }
}

/** A client for the daemon at `host`. Connects on the first request. */
export function connect(options: ConnectOptions = {}): BerthClient {
  return new BerthClient(new Transport(parseAddress(options.host ?? DEFAULT_HOST), options.dial ?? dialFast));
}
