// The classes of addresses that a policy can name in one word.

import { BlockList, isIP, isIPv6 } from 'node:net';

type ByFamily = Readonly<Record<4 | 6, readonly string[]>>;

/**
 * Where no public host is: the entries of the IANA special-purpose address registries (RFC 6890 and its updates) that
 * are not globally reachable, with multicast. Of IPv6 also what embeds an IPv4 address (RFC 6052, RFC 3056), as it may
 * lead to a private one.
 */
export const PRIVATE: ByFamily = {
  4: [
    '0.0.0.0/8', // this network, RFC 791
    '10.0.0.0/8', // RFC 1918
    '100.64.0.0/10', // carrier-grade NAT, RFC 6598
    '127.0.0.0/8', // loopback, RFC 1122
    '169.254.0.0/16', // link local, RFC 3927
    '172.16.0.0/12', // RFC 1918
    '192.0.0.0/24', // protocol assignments, RFC 6890
    '192.0.2.0/24', // documentation, RFC 5737
    '192.168.0.0/16', // RFC 1918
    '198.18.0.0/15', // benchmarks, RFC 2544
    '198.51.100.0/24', // documentation, RFC 5737
    '203.0.113.0/24', // documentation, RFC 5737
    '224.0.0.0-255.255.255.255', // multicast, RFC 5771; reserved, RFC 1112; broadcast, RFC 919
  ],
  6: [
    '::/96', // unspecified, loopback, RFC 4291; IPv4-compatible
    '::ffff:0:0/96', // IPv4-mapped, RFC 4291
    '64:ff9b::/96', // translated IPv4, RFC 6052
    '64:ff9b:1::/48', // RFC 8215
    '100::/64', // discard only, RFC 6666
    '2001:db8::/32', // documentation, RFC 3849
    '2002::/16', // 6to4, RFC 3056
    'fc00::/7', // unique local, RFC 4193
    'fe80::/10', // link local, RFC 4291
    'fec0::/10', // site local, RFC 3879
    'ff00::/8', // multicast, RFC 4291
  ],
};

/** Where clouds serve credentials and configuration to whoever asks from inside, by their documentation. */
export const METADATA: ByFamily = {
  4: [
    '169.254.169.254', // Amazon EC2, Google, Azure, Oracle, DigitalOcean, Hetzner, OpenStack
    '169.254.169.253', // Amazon VPC resolver
    '169.254.170.2', // Amazon ECS task credentials
    '169.254.170.23', // Amazon EKS pod identity
    '168.63.129.16', // Azure wire server
    '100.100.100.200', // Alibaba
    '169.254.42.42', // Scaleway
    '192.0.0.192', // Oracle Cloud at Customer
  ],
  6: [
    'fd00:ec2::254', // Amazon EC2
    'fd00:ec2::253', // Amazon VPC resolver
    'fd00:ec2::23', // Amazon EKS pod identity
    'fd20:ce::254', // Google
    'fe80::a9fe:a9fe', // OpenStack
    'fd00:42::42', // Scaleway
  ],
};

const classes = { private: blockLists(PRIVATE), metadata: blockLists(METADATA) };

/** One for each family: a list takes IPv4 addresses for their mapped ones. */
function blockLists(ranges: ByFamily): Readonly<Record<4 | 6, BlockList>> {
  const lists = { 4: new BlockList(), 6: new BlockList() };
  for (const entry of ranges[4]) addRange(lists[4], entry, 'ipv4');
  for (const entry of ranges[6]) addRange(lists[6], entry, 'ipv6');
  return lists;
}

function addRange(list: BlockList, range: string, family: 'ipv4' | 'ipv6'): void {
  const [first = '', last] = range.split('-');
  const [net = '', bits] = first.split('/');
  if (last !== undefined) list.addRange(net, last, family);
  else if (bits !== undefined) list.addSubnet(net, Number(bits), family);
  else list.addAddress(net, family);
}

export function isInClass(address: string, name: 'private' | 'metadata'): boolean {
  return isIPv6(address) ? classes[name][6].check(address, 'ipv6') : classes[name][4].check(address, 'ipv4');
}

/** Whether `address` lies in `range`: an address or a CIDR, of either family. */
export function isInRange(address: string, range: string): boolean {
  const family = familyOf(range);
  if (family !== familyOf(address)) return false;
  const list = new BlockList();
  addRange(list, range, family === 4 ? 'ipv4' : 'ipv6');
  return list.check(address, family === 4 ? 'ipv4' : 'ipv6');
}

export type Family = 4 | 6;

/** Of an address or a CIDR. */
export function familyOf(range: string): Family {
  return isIP(range.split('/')[0] ?? '') === 6 ? 6 : 4;
}
