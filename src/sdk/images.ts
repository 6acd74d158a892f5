// The daemon's image store.

import { jsonLines } from './body.ts';
import type { CallSignal } from './containers.ts';
import { encodeFilters, signalOf } from './containers.ts';
import { BerthSdkError } from './errors.ts';
import type { Transport } from './transport.ts';
import type { Filters, ImageHistoryEntry, ImageSummary, ProgressMessage, PruneAnswer } from './types.ts';

export interface PullRequest extends CallSignal {
  readonly platform?: string;
  /** Docker's X-Registry-Auth value: base64url of the JSON of the credentials. */
  readonly auth?: string;
}

export class Images {
  readonly #http: Transport;

  constructor(http: Transport) {
    this.#http = http;
  }

  async list(options: { all?: boolean; filters?: Filters; digests?: boolean } = {}): Promise<ImageSummary[]> {
    const { all, filters, digests } = options;
    return this.#http.json('GET', '/images/json', {
      query: { all, digests, filters: encodeFilters(filters) },
    });
  }

  inspect(name: string): Promise<Readonly<Record<string, unknown>>> {
    return this.#http.json('GET', `${at(name)}/json`);
  }

  history(name: string): Promise<ImageHistoryEntry[]> {
    return this.#http.json('GET', `${at(name)}/history`);
  }

  /** Progress of a pull. Fails, in the course of the iteration, when the pull fails. */
  async *pull(name: string, request: PullRequest = {}): AsyncGenerator<ProgressMessage, void> {
    const query = { ...splitReference(name), platform: request.platform };
    const headers = request.auth === undefined ? {} : { 'X-Registry-Auth': request.auth };
    yield* this.#progress('/images/create', { query, headers, ...signalOf(request) });
  }

  /** Makes a base image on the daemon's machine, without a registry: `busybox` or `debian`. */
  async *createBase(
    base: string,
    options: { readonly tag?: string; readonly packages?: readonly string[] } & CallSignal = {},
  ): AsyncGenerator<ProgressMessage, void> {
    const json = { base, ...(options.tag ? { tag: options.tag } : {}), packages: options.packages ?? [] };
    yield* this.#progress('/berth/v1/images/create', { json, ...signalOf(options) });
  }

  async *load(
    tar: AsyncIterable<Uint8Array>,
    options: { quiet?: boolean } = {},
  ): AsyncGenerator<ProgressMessage, void> {
    yield* this.#progress('/images/load', { query: { quiet: options.quiet ? '1' : '0' }, stream: tar });
  }

  async *import(
    tar: AsyncIterable<Uint8Array>,
    options: {
      repo?: string;
      tag?: string;
      message?: string;
      changes?: readonly string[];
      platform?: string;
    },
  ): AsyncGenerator<ProgressMessage, void> {
    const query = { fromSrc: '-', ...options };
    yield* this.#progress('/images/create', { query, stream: tar });
  }

  /** An image of a workload's files; resolves to its id. */
  async commit(
    container: string,
    options: {
      repo?: string;
      tag?: string;
      comment?: string;
      author?: string;
      changes?: readonly string[];
      /** Default: a running container is halted meanwhile. */
      pause?: boolean;
    } = {},
  ): Promise<string> {
    const query = { container, ...options, pause: options.pause === false ? '0' : '1' };
    return (await this.#http.json<{ Id: string }>('POST', '/commit', { query })).Id;
  }

  /** A docker-archive of the images. */
  async save(names: readonly string[]): Promise<AsyncIterable<Buffer>> {
    return (await this.#http.call('GET', '/images/get', { query: { names } })).body;
  }

  async tag(source: string, target: string): Promise<void> {
    const { fromImage: repo, tag } = splitReference(target);
    await this.#http.send('POST', `${at(source)}/tag`, { query: { repo, tag } });
  }

  remove(
    name: string,
    options: { force?: boolean; noprune?: boolean } = {},
  ): Promise<{ Untagged?: string; Deleted?: string }[]> {
    return this.#http.json('DELETE', at(name), { query: { force: options.force, noprune: options.noprune } });
  }

  prune(filters?: Filters): Promise<PruneAnswer> {
    return this.#http.json('POST', '/images/prune', { query: { filters: encodeFilters(filters) } });
  }

  async *#progress(
    path: string,
    options: Parameters<Transport['call']>[2],
  ): AsyncGenerator<ProgressMessage, void> {
    const answer = await this.#http.call('POST', path, options);
    for await (const message of jsonLines<ProgressMessage>(answer.body)) {
      const error = message.errorDetail?.message ?? message.error;
      if (error !== undefined) throw new BerthSdkError('internal', error);
      yield message;
    }
  }
}

/** `name[:tag]` or `name@digest` as Docker's query parameters; without either the tag is `latest`. */
export function splitReference(name: string): { fromImage: string; tag: string } {
  const at = name.indexOf('@');
  if (at > 0) return { fromImage: name.slice(0, at), tag: name.slice(at + 1) };
  const colon = name.lastIndexOf(':');
  if (colon > name.lastIndexOf('/') && colon > 0) {
    return { fromImage: name.slice(0, colon), tag: name.slice(colon + 1) };
  }
  return { fromImage: name, tag: 'latest' };
}

function at(name: string): string {
  // Slashes of a name stay: Docker's routes take the rest of the path.
  return `/images/${name.split('/').map(encodeURIComponent).join('/')}`;
}
