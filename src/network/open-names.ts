// The names of workloads that run, for the name service.

import type { Endpoint } from '../core/index.ts';
import { contains, familyOf, parseAddress, parseSubnet } from './address.ts';
import { addressesOf } from './addresses.ts';
import type { Member } from './member.ts';
import type { Asker, NameSource } from './names/index.ts';
import type { NetworkStore } from './store.ts';

/** Who is called what: only what runs has an address. */
export class OpenNames implements NameSource {
  readonly #open: ReadonlyMap<string, Member>;
  readonly #store: NetworkStore;

  constructor(open: ReadonlyMap<string, Member>, store: NetworkStore) {
    this.#open = open;
    this.#store = store;
  }

  #find({ networkId, client }: Asker): Member | undefined {
    const asks = ({ networkId: own, ipv4, ipv6 }: Endpoint) =>
      own === networkId && (ipv4 === client || ipv6 === client);
    return [...this.#open.values()].find(({ endpoints }) => endpoints.some(asks));
  }

  /** The networks of who asks: at least the one that the question came from. */
  #networksOf(asker: Asker): ReadonlySet<string> {
    const endpoints = this.#find(asker)?.endpoints ?? [asker];
    return new Set(endpoints.map(({ networkId }) => networkId));
  }

  /** As if it had been asked by the network through which who asks reaches what is outside, if there is one. */
  byWayOut<Question extends Asker>(question: Question): Question {
    const endpoints = this.#find(question)?.endpoints ?? [];
    const wayOut = endpoints.find(({ networkId }) => this.#store.find(networkId)?.internal === false);
    const client = wayOut?.ipv4 ?? wayOut?.ipv6;
    return wayOut === undefined || client === undefined
      ? question
      : { ...question, networkId: wayOut.networkId, client };
  }

  /** Servers of who asks, for names outside; undefined: those of the host. */
  serversOf(asker: Asker): readonly string[] | undefined {
    return this.#find(asker)?.dns;
  }

  *#on(networks: ReadonlySet<string>): Generator<{ names: readonly string[]; addresses: readonly string[] }> {
    for (const { id, name, endpoints } of this.#open.values())
      for (const endpoint of endpoints) {
        if (!networks.has(endpoint.networkId)) continue;
        const names = [name, id.slice(0, 12), ...endpoint.aliases].map((text) => text.toLowerCase());
        yield { names, addresses: addressesOf(endpoint) };
      }
  }

  addressesOf(asker: Asker, name: string): readonly string[] | undefined {
    const found = [...this.#on(this.#networksOf(asker))].filter(({ names }) => names.includes(name));
    return found.length === 0 ? undefined : found.flatMap(({ addresses }) => addresses);
  }

  namesOf(asker: Asker, address: string): readonly string[] | undefined {
    const networks = this.#networksOf(asker);
    const subnets = [...networks].flatMap((id) => this.#store.find(id)?.subnets ?? []);
    if (!subnets.some(({ subnet }) => isWithin(subnet, address))) return undefined;
    return [...this.#on(networks)].find(({ addresses }) => addresses.includes(address))?.names ?? [];
  }
}

function isWithin(subnet: string, address: string): boolean {
  const { family, ...rest } = parseSubnet(subnet);
  return familyOf(address) === family && contains({ family, ...rest }, parseAddress(address));
}
