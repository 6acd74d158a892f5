// The name service of all networks.

import { Listener } from './listener.ts';
import { type NameServerOptions, Resolver } from './resolver.ts';

/** Where resolvers listen, and where workloads reach us by the firewall's redirection. */
const DNS_PORT = 53;

export class NameServer {
  readonly #resolver: Resolver;
  /** By network and address. */
  readonly #networks = new Map<string, Map<string, Listener>>();

  constructor(options: NameServerOptions) {
    // A host that asks one of our gateways would make us ask ourselves.
    const upstreams = () =>
      options.upstreams().filter(({ address, port }) => port !== DNS_PORT || !this.#serves(address));
    this.#resolver = new Resolver({ ...options, upstreams });
  }

  /**
   * Answers questions that come to this address of the host, by UDP and TCP, as coming from the network; resolves with the
   * port, which is random. Fails with `unavailable` when the host does not have the address. Calls for one network, and
   * `close`, must not overlap.
   */
  async listen(networkId: string, address: string): Promise<number> {
    const listener = await Listener.open(networkId, address, (incoming) => this.#resolver.answer(incoming));
    const listeners = this.#networks.get(networkId) ?? new Map<string, Listener>();
    this.#networks.set(networkId, listeners);
    await listeners.get(address)?.close();
    listeners.set(address, listener);
    return listener.port;
  }

  /** Stops answering on all addresses of the network; one that is not served is no error. */
  async release(networkId: string): Promise<void> {
    const listeners = [...(this.#networks.get(networkId)?.values() ?? [])];
    this.#networks.delete(networkId);
    await Promise.all(listeners.map((listener) => listener.close()));
  }

  /** Questions that wait for an answer from outside. */
  get waiting(): number {
    return this.#resolver.waiting;
  }

  async close(): Promise<void> {
    this.#resolver.close();
    await Promise.all([...this.#networks.keys()].map((networkId) => this.release(networkId)));
  }

  #serves(address: string): boolean {
    return [...this.#networks.values()].some((listeners) => listeners.has(address));
  }
}
