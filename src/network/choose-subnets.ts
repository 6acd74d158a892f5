// Which subnets a network gets: as asked for, or the first of Berth's pool that nothing on the host uses. Pure but for the random
// half of IPv6.

import { randomBytes } from 'node:crypto';
import { BerthError, type Network, type NetworkSubnet } from '../core/index.ts';
import {
  contains,
  type Family,
  familyOf,
  formatAddress,
  formatSubnet,
  overlap,
  parseAddress,
  parseSubnet,
  type Subnet,
} from './address.ts';

/** What the user says of one family; the rest is chosen. */
export interface SubnetRequest {
  readonly subnet?: string;
  readonly gateway?: string;
  readonly range?: string;
}

/** Seldom used by anyone: 256 networks of 4093 workloads each. */
const POOL = parseSubnet('10.208.0.0/12');
const POOL_PREFIX = 20;

/** Fails with `invalid-argument`, `conflict` naming what overlaps, or `exhausted`. */
export function chooseSubnets(
  requests: readonly SubnetRequest[],
  ipv6: boolean,
  networks: readonly Network[],
  taken: readonly Subnet[],
): readonly NetworkSubnet[] {
  const chosen = requests.map((request) => asAsked(request, networks, taken));
  const families = chosen.map(({ subnet }) => parseSubnet(subnet).family);
  if (new Set(families).size < families.length)
    throw new BerthError('invalid-argument', 'a network has one subnet of each family at most');
  if (families.includes(6) && !ipv6) throw new BerthError('invalid-argument', 'an IPv6 subnet needs --ipv6');
  const ours = networks.flatMap(({ subnets }) => subnets.map(({ subnet }) => parseSubnet(subnet)));
  if (!families.includes(4)) chosen.unshift(withGateway(fromPool([...ours, ...taken])));
  if (ipv6 && !families.includes(6)) chosen.push(withGateway(randomLocal()));
  return chosen;
}

function asAsked(
  { subnet: text, gateway, range }: SubnetRequest,
  networks: readonly Network[],
  taken: readonly Subnet[],
): NetworkSubnet {
  if (text === undefined)
    throw new BerthError('invalid-argument', 'a gateway or an address range needs a subnet: give --subnet');
  const subnet = parseSubnet(text);
  if (subnet.prefix > (subnet.family === 4 ? 30 : 126))
    throw new BerthError(
      'invalid-argument',
      `subnet ${text} is too small: it has no room for a gateway and a workload`,
    );
  const network = networks.find(({ subnets }) =>
    subnets.some((other) => overlap(parseSubnet(other.subnet), subnet)),
  );
  if (network !== undefined)
    throw new BerthError('conflict', `subnet ${text} overlaps that of network ${network.name}`);
  const route = taken.find((other) => overlap(other, subnet));
  if (route !== undefined)
    throw new BerthError(
      'conflict',
      `subnet ${text} overlaps ${formatSubnet(route)}, which this host reaches already`,
    );
  const plain = withGateway(subnet, gateway);
  if (range === undefined) return plain;
  const part = parseSubnet(range);
  if (part.family !== subnet.family || part.prefix < subnet.prefix || !contains(subnet, part.base))
    throw new BerthError('invalid-argument', `range ${range} is not within subnet ${text}`);
  return { ...plain, range };
}

function withGateway(subnet: Subnet, wanted?: string): NetworkSubnet {
  const text = formatSubnet(subnet);
  const gateway = wanted ?? formatAddress(subnet.base + 1n, subnet.family);
  if (familyOf(gateway) !== subnet.family || !contains(subnet, parseAddress(gateway)))
    throw new BerthError('invalid-argument', `gateway ${gateway} is not within subnet ${text}`);
  return { subnet: text, gateway };
}

function fromPool(used: readonly Subnet[]): Subnet {
  const family: Family = 4;
  const size = 1n << BigInt(32 - POOL_PREFIX);
  for (let base = POOL.base; contains(POOL, base); base += size) {
    const subnet = { family, base, prefix: POOL_PREFIX };
    if (!used.some((other) => overlap(other, subnet))) return subnet;
  }
  throw new BerthError(
    'exhausted',
    `all subnets of ${formatSubnet(POOL)} are in use: give one with --subnet, or remove networks (berth network prune)`,
  );
}

/** RFC 4193: fd, and 40 random bits. */
function randomLocal(): Subnet {
  const bits = (0xfdn << 40n) | BigInt(`0x${randomBytes(5).toString('hex')}`);
  return { family: 6, base: bits << 80n, prefix: 64 };
}
