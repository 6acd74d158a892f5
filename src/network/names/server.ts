// The name service of all networks.

import { BlockList, isIP, isIPv6 } from 'node:net';
import { Listener } from './listener.ts';
import { type NameQuery, type NameServerOptions, Resolver } from './resolver.ts';

/** Where resolvers listen, and where workloads reach us by the firewall's redirection. */
const DNS_PORT = 53;

export class NameServer {
  readonly #resolver: Resolver;
  /** By network and address. */
  readonly #networks = new Map<string, Map<string, Listener>>();

  constructor(options: NameServerOptions) {
    // A host that asks one of our gateways would make us ask ourselves; a name in place of an address would be looked up.
    const upstreams = (query: NameQuery) =>
      options
        .upstreams(query)
        .filter(({ address, port }) => isIP(address) !== 0 && (port !== DNS_PORT || !this.#serves(address)));
    this.#resolver = new Resolver({ ...options, upstreams });
  }

  /**
   * Answers questions that come to this address of the host, by UDP and TCP, as coming from the network; resolves with the
   * port, which is random. With a prefix length (10.208.0.1/20) only those from its subnet: the host may route others'
   * to it. Fails with `unavailable` when the host does not have the address. Calls for one network, and `close`, must
   * not overlap.
   */
  async listen(networkId: string, gateway: string): Promise<number> {
    const [address = ''] = gateway.split('/');
    const listener = await Listener.open(address, {
      networkId,
      serves: subnetCheck(gateway),
      answer: (incoming) => this.#resolver.answer(incoming),
    });
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

function subnetCheck(gateway: string): (client: string) => boolean {
  const [address = '', prefix] = gateway.split('/');
  if (prefix === undefined) return () => true;
  const family = isIPv6(address) ? 'ipv6' : 'ipv4';
  const subnet = new BlockList();
  subnet.addSubnet(address, Number(prefix), family);
  return (client) => subnet.check(client.split('%')[0] ?? '', family);
}
