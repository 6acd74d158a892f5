// Workloads, under the name Docker's API gives them. References are names, ids or unambiguous prefixes of ids.

import { jsonLines } from './body.ts';
import type { RawStream } from './call.ts';
import { ContainerFiles } from './files.ts';
import type { Transport } from './transport.ts';
import type {
  ContainerDetails,
  ContainerSummary,
  CreateRequest,
  Filters,
  PruneAnswer,
  ResourcesRequest,
  RestartPolicyRequest,
  StatsSample,
  TopAnswer,
  WaitAnswer,
} from './types.ts';

export interface CallSignal {
  readonly signal?: AbortSignal;
}

export interface AttachRequest {
  readonly stdin?: boolean;
  readonly stdout?: boolean;
  readonly stderr?: boolean;
  /** Replay what was logged before. */
  readonly logs?: boolean;
  readonly detachKeys?: string;
}

export interface LogsRequest {
  readonly stdout?: boolean;
  readonly stderr?: boolean;
  readonly follow?: boolean;
  readonly timestamps?: boolean;
  readonly tail?: string;
  readonly since?: string;
  readonly until?: string;
}

export interface StopRequest {
  readonly signal?: string;
  readonly timeoutSeconds?: number;
}

export type WaitCondition = 'not-running' | 'next-exit' | 'removed';

export class Containers {
  readonly files: ContainerFiles;
  readonly #http: Transport;

  constructor(http: Transport) {
    this.#http = http;
    this.files = new ContainerFiles(http);
  }

  create(
    request: CreateRequest,
    options: { readonly name?: string; readonly platform?: string } & CallSignal = {},
  ): Promise<{ Id: string; Warnings: string[] | null }> {
    const query = { name: options.name, platform: options.platform };
    return this.#http.json('POST', '/containers/create', { query, json: request, ...signalOf(options) });
  }

  /** Resolves to false when it ran already. */
  async start(id: string, options: CallSignal = {}): Promise<boolean> {
    return (await this.#http.send('POST', `${at(id)}/start`, signalOf(options))) !== 304;
  }

  /**
   * Arms a wait. The outer promise resolves when the daemon has begun to wait, so that nothing that happens from then
   * on can be missed; `exit` resolves with the status.
   */
  async wait(
    id: string,
    condition: WaitCondition = 'not-running',
    options: CallSignal = {},
  ): Promise<{ readonly exit: Promise<WaitAnswer> }> {
    const query = { condition };
    const answer = await this.#http.call('POST', `${at(id)}/wait`, { query, ...signalOf(options) });
    const exit = answer.json<WaitAnswer>();
    // A caller that never asks for the status must not be met by an unhandled rejection.
    exit.catch(() => {});
    return { exit };
  }

  /** A raw connection to the main process: multiplexed output unless it has a tty. */
  attach(id: string, request: AttachRequest, options: CallSignal = {}): Promise<RawStream> {
    const { stdin, stdout, stderr, logs, detachKeys } = request;
    const query = { stream: true, stdin, stdout, stderr, logs, detachKeys };
    return this.#http.upgrade('POST', `${at(id)}/attach`, { query, ...signalOf(options) });
  }

  async list(
    options: { all?: boolean; limit?: number; size?: boolean; filters?: Filters } & CallSignal = {},
  ): Promise<ContainerSummary[]> {
    const { all, limit, size, filters } = options;
    const query = { all, limit, size, filters: encodeFilters(filters) };
    return this.#http.json('GET', '/containers/json', { query, ...signalOf(options) });
  }

  inspect(
    id: string,
    options: { size?: boolean; counters?: boolean } & CallSignal = {},
  ): Promise<ContainerDetails> {
    return this.#http.json('GET', `${at(id)}/json`, {
      query: { size: options.size, counters: options.counters },
      ...signalOf(options),
    });
  }

  /** Resolves to false when it did not run. */
  async stop(id: string, options: StopRequest = {}): Promise<boolean> {
    const query = { signal: options.signal, t: options.timeoutSeconds };
    return (await this.#http.send('POST', `${at(id)}/stop`, { query })) !== 304;
  }

  async restart(id: string, options: StopRequest = {}): Promise<void> {
    const query = { signal: options.signal, t: options.timeoutSeconds };
    await this.#http.send('POST', `${at(id)}/restart`, { query });
  }

  async kill(id: string, signal?: string): Promise<void> {
    await this.#http.send('POST', `${at(id)}/kill`, { query: { signal } });
  }

  async pause(id: string): Promise<void> {
    await this.#http.send('POST', `${at(id)}/pause`);
  }

  async unpause(id: string): Promise<void> {
    await this.#http.send('POST', `${at(id)}/unpause`);
  }

  async rename(id: string, name: string): Promise<void> {
    await this.#http.send('POST', `${at(id)}/rename`, { query: { name } });
  }

  update(
    id: string,
    change: ResourcesRequest & { RestartPolicy?: RestartPolicyRequest },
  ): Promise<{ Warnings: string[] | null }> {
    return this.#http.json('POST', `${at(id)}/update`, { json: change });
  }

  async remove(id: string, options: { force?: boolean; volumes?: boolean } = {}): Promise<void> {
    const query = { force: options.force, v: options.volumes };
    await this.#http.send('DELETE', at(id), { query });
  }

  async resize(id: string, size: { readonly rows: number; readonly columns: number }): Promise<void> {
    await this.#http.send('POST', `${at(id)}/resize`, { query: { h: size.rows, w: size.columns } });
  }

  top(id: string, psArgs?: string): Promise<TopAnswer> {
    return this.#http.json('GET', `${at(id)}/top`, { query: { ps_args: psArgs } });
  }

  /** The body of the log stream: multiplexed unless the workload has a tty. */
  async logs(id: string, request: LogsRequest, options: CallSignal = {}): Promise<AsyncIterable<Buffer>> {
    const query = { ...request };
    return (await this.#http.call('GET', `${at(id)}/logs`, { query, ...signalOf(options) })).body;
  }

  async *stats(
    id: string,
    options: { stream?: boolean } & CallSignal = {},
  ): AsyncGenerator<StatsSample, void> {
    const query = { stream: options.stream === false ? '0' : '1' };
    const answer = await this.#http.call('GET', `${at(id)}/stats`, { query, ...signalOf(options) });
    yield* jsonLines<StatsSample>(answer.body);
  }

  prune(filters?: Filters): Promise<PruneAnswer> {
    return this.#http.json('POST', '/containers/prune', { query: { filters: encodeFilters(filters) } });
  }
}

function at(id: string): string {
  return `/containers/${encodeURIComponent(id)}`;
}

/** The caller's signal as a call option. */
export function signalOf(options: CallSignal): CallSignal {
  return options.signal === undefined ? {} : { signal: options.signal };
}

/** Docker's form of filters in a query. */
export function encodeFilters(filters: Filters | undefined): string | undefined {
  return filters === undefined || Object.keys(filters).length === 0 ? undefined : JSON.stringify(filters);
}
