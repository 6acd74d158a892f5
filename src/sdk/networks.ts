// Networks of a daemon.

import { encodeFilters } from './containers.ts';
import type { Transport } from './transport.ts';
import type { EndpointRequest, Filters, NetworkCreateRequest, NetworkDetails } from './types.ts';

export class Networks {
  readonly #http: Transport;

  constructor(http: Transport) {
    this.#http = http;
  }

  /** Resolves with the id. Fails with `conflict` when the name or a subnet is in use. */
  async create(request: NetworkCreateRequest): Promise<string> {
    const answer = await this.#http.json<{ Id: string }>('POST', '/networks/create', { json: request });
    return answer.Id;
  }

  list(filters?: Filters): Promise<NetworkDetails[]> {
    return this.#http.json('GET', '/networks', { query: { filters: encodeFilters(filters) } });
  }

  /** With the workloads that run on it. */
  inspect(name: string): Promise<NetworkDetails> {
    return this.#http.json('GET', `/networks/${encodeURIComponent(name)}`);
  }

  /** Running workloads are plugged in when this resolves. */
  async connect(network: string, workload: string, endpoint: EndpointRequest = {}): Promise<void> {
    const json = { Container: workload, EndpointConfig: endpoint };
    await this.#http.send('POST', `/networks/${encodeURIComponent(network)}/connect`, { json });
  }

  async disconnect(network: string, workload: string): Promise<void> {
    const json = { Container: workload };
    await this.#http.send('POST', `/networks/${encodeURIComponent(network)}/disconnect`, { json });
  }

  /** Fails with `conflict` when workloads are connected. */
  async remove(name: string): Promise<void> {
    await this.#http.send('DELETE', `/networks/${encodeURIComponent(name)}`);
  }

  /** Removes those that no workload is connected to; their names. */
  async prune(filters?: Filters): Promise<readonly string[]> {
    const query = { filters: encodeFilters(filters) };
    const answer = await this.#http.json<{ NetworksDeleted: string[] | null }>('POST', '/networks/prune', {
      query,
    });
    return answer.NetworksDeleted ?? [];
  }
}
