// The daemon itself, its volumes and events.

import { jsonLines } from './body.ts';
import type { CallSignal } from './containers.ts';
import { encodeFilters, signalOf } from './containers.ts';
import type { Transport } from './transport.ts';
import type {
  DiskUsageAnswer,
  EventMessage,
  Filters,
  Finding,
  InfoAnswer,
  ProbesAnswer,
  PruneAnswer,
  VersionAnswer,
  VolumeDetails,
} from './types.ts';

export class System {
  readonly #http: Transport;

  constructor(http: Transport) {
    this.#http = http;
  }

  async ping(options: CallSignal = {}): Promise<void> {
    await this.#http.send('GET', '/_ping', signalOf(options));
  }

  version(): Promise<VersionAnswer> {
    return this.#http.json('GET', '/version');
  }

  info(): Promise<InfoAnswer> {
    return this.#http.json('GET', '/info');
  }

  /** What each isolation needs of the host, found out by use. The first call may take seconds. */
  /** What stands in the way of networks on the host, or would, and what was done about it. */
  networkFindings(): Promise<Finding[]> {
    return this.#http.json('GET', '/berth/v1/host/networks');
  }

  /** Takes away all that networks made of the host. Fails with `conflict` while workloads run on them. */
  async uninstallNetworks(): Promise<void> {
    await this.#http.send('DELETE', '/berth/v1/host/networks');
  }

  probes(): Promise<ProbesAnswer> {
    return this.#http.json('GET', '/berth/v1/probes');
  }

  /** `type`: only this part, the others stay null. */
  diskUsage(
    options: { type?: 'image' | 'container' | 'volume' | 'build-cache' } = {},
  ): Promise<DiskUsageAnswer> {
    return this.#http.json('GET', '/system/df', { query: { type: options.type } });
  }

  async *events(
    options: { since?: string; until?: string; filters?: Filters } & CallSignal = {},
  ): AsyncGenerator<EventMessage, void> {
    const query = { since: options.since, until: options.until, filters: encodeFilters(options.filters) };
    const answer = await this.#http.call('GET', '/events', { query, ...signalOf(options) });
    yield* jsonLines<EventMessage>(answer.body);
  }
}

const archiveOf = (name: string) => `/berth/v1/volumes/${encodeURIComponent(name)}/archive`;

export class Volumes {
  readonly #http: Transport;

  constructor(http: Transport) {
    this.#http = http;
  }

  create(options: {
    name?: string;
    labels?: Record<string, string>;
    driver?: string;
    /** `size`: the most it may hold, e.g. 1G. */
    options?: Record<string, string>;
  }): Promise<VolumeDetails> {
    const json = {
      Name: options.name ?? '',
      Driver: options.driver ?? 'local',
      Labels: options.labels ?? {},
      DriverOpts: options.options ?? {},
    };
    return this.#http.json('POST', '/volumes/create', { json });
  }

  async list(filters?: Filters): Promise<VolumeDetails[]> {
    const query = { filters: encodeFilters(filters) };
    return (
      (await this.#http.json<{ Volumes: VolumeDetails[] | null }>('GET', '/volumes', { query })).Volumes ?? []
    );
  }

  inspect(name: string): Promise<VolumeDetails> {
    return this.#http.json('GET', `/volumes/${encodeURIComponent(name)}`);
  }

  async remove(name: string, options: { force?: boolean } = {}): Promise<void> {
    await this.#http.send('DELETE', `/volumes/${encodeURIComponent(name)}`, {
      query: { force: options.force },
    });
  }

  /** A tar of all that is in it. */
  async backup(name: string): Promise<AsyncIterable<Buffer>> {
    return (await this.#http.call('GET', archiveOf(name))).body;
  }

  /** Replaces all that is in it by what is in the tar, plain or compressed; makes the volume if there is none. */
  async restore(
    name: string,
    tar: AsyncIterable<Uint8Array>,
    options: { force?: boolean } = {},
  ): Promise<void> {
    await this.#http.send('PUT', archiveOf(name), { query: { force: options.force }, stream: tar });
  }

  prune(filters?: Filters): Promise<PruneAnswer> {
    return this.#http.json('POST', '/volumes/prune', { query: { filters: encodeFilters(filters) } });
  }
}
