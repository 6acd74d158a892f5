// Who has which address of a network. In memory: workloads' records say what is given out, and are read at the start.

import { randomBytes } from 'node:crypto';
import { BerthError, type Endpoint, type Network, type NetworkAttachment } from '../core/index.ts';
import { contains, familyOf, formatAddress, lastOf, macOf, parseAddress, parseSubnet } from './address.ts';

/** One of each family at most. */
export function addressesOf({ ipv4, ipv6 }: Pick<Endpoint, 'ipv4' | 'ipv6'>): readonly string[] {
  return [ipv4, ipv6].filter((address) => address !== undefined);
}

/** Given out and not given back. */
interface Given {
  /** By address: whose it is. */
  readonly owners: Map<string, string>;
  /** Where the search for the next free one begins, by subnet: an address just given back rests a while. */
  readonly next: Map<string, bigint>;
}

export class AddressBook {
  readonly #networks = new Map<string, Given>();

  /** Addresses of a workload on a network, its own until `release`. Fails with `conflict`, `invalid-argument` or `exhausted`. */
  assign(network: Network, wanted: NetworkAttachment, owner: string, name: string): Endpoint {
    const id = randomBytes(32).toString('hex');
    const given = this.#given(network.id);
    const asked = addressesOf(wanted);
    for (const address of asked) checkAsked(network, address, given);
    const endpoint: Endpoint = {
      ...{ id, networkId: network.id, networkName: network.name, interface: name, aliases: wanted.aliases },
      mac: wanted.mac === undefined ? macOf(id) : checkMac(wanted.mac),
      ...addressOf(network, given, 4, 'ipv4', wanted.ipv4),
      ...addressOf(network, given, 6, 'ipv6', wanted.ipv6),
      fixed: asked.length > 0 || wanted.mac !== undefined,
    };
    this.claim(endpoint, owner);
    return endpoint;
  }

  /** Marks what a record says. */
  claim(endpoint: Endpoint, owner: string): void {
    const { owners } = this.#given(endpoint.networkId);
    for (const address of addressesOf(endpoint)) owners.set(address, owner);
  }

  release(endpoint: Endpoint): void {
    const { owners } = this.#given(endpoint.networkId);
    for (const address of addressesOf(endpoint)) owners.delete(address);
  }

  /** Whether anybody has an address on the network. */
  inUse(networkId: string): boolean {
    return this.#given(networkId).owners.size > 0;
  }

  #given(networkId: string): Given {
    const known = this.#networks.get(networkId);
    if (known !== undefined) return known;
    const fresh = { owners: new Map<string, string>(), next: new Map<string, bigint>() };
    this.#networks.set(networkId, fresh);
    return fresh;
  }
}

function checkAsked(network: Network, address: string, { owners }: Given): void {
  const family = familyOf(address);
  const own = network.subnets.find(({ subnet }) => parseSubnet(subnet).family === family);
  if (family === undefined || own === undefined || !contains(parseSubnet(own.subnet), parseAddress(address)))
    throw new BerthError(
      'invalid-argument',
      `address ${address} is not within network ${network.name}: it has ${network.subnets.map(({ subnet }) => subnet).join(' and ')}`,
    );
  const plain = formatAddress(parseAddress(address), family);
  const holder = owners.get(plain);
  const owner = plain === own.gateway ? 'the gateway' : holder && `workload ${holder.slice(0, 12)}`;
  if (owner !== undefined)
    throw new BerthError('conflict', `address ${address} of network ${network.name} is in use by ${owner}`);
}

function addressOf<K extends 'ipv4' | 'ipv6'>(
  network: Network,
  given: Given,
  family: 4 | 6,
  key: K,
  asked: string | undefined,
): { [P in K]?: string } {
  if (asked !== undefined)
    return { [key]: formatAddress(parseAddress(asked), family) } as { [P in K]: string };
  const own = network.subnets.find(({ subnet }) => parseSubnet(subnet).family === family);
  if (own === undefined) return {};
  const subnet = parseSubnet(own.subnet);
  const part = own.range === undefined ? subnet : parseSubnet(own.range);
  // Neither the network's own address nor, of IPv4, the one for broadcasts.
  const first = part.base === subnet.base ? part.base + 1n : part.base;
  const end = lastOf(part);
  const last = family === 4 && end === lastOf(subnet) ? end - 1n : end;
  const size = last - first + 1n;
  const begin = given.next.get(own.subnet) ?? first;
  // A free one is among the next as many as are given out, and the gateway, and one more.
  const tries = BigInt(given.owners.size) + 2n;
  for (let step = 0n; step < (tries < size ? tries : size); step++) {
    const value = first + ((begin - first + step) % size);
    const address = formatAddress(value, family);
    if (address === own.gateway || given.owners.has(address)) continue;
    given.next.set(own.subnet, value + 1n > last ? first : value + 1n);
    return { [key]: address } as { [P in K]: string };
  }
  throw new BerthError(
    'exhausted',
    `network ${network.name} has no free address left in ${own.range ?? own.subnet}: remove workloads, or use a larger network`,
  );
}

function checkMac(text: string): string {
  const mac = text.toLowerCase().replaceAll('-', ':');
  if (/^([0-9a-f]{2}:){5}[0-9a-f]{2}$/.test(mac) && (Number.parseInt(mac.slice(0, 2), 16) & 1) === 0)
    return mac;
  throw new BerthError('invalid-argument', `invalid MAC address: ${text}: it looks like 02:42:ac:11:00:02`);
}
