// Addresses and subnets as numbers. Pure.
// Text forms: RFC 4291 section 2.2 for IPv6, read; RFC 5952, written.

import { isIPv4, isIPv6 } from 'node:net';
import { BerthError } from '../core/index.ts';

export type Family = 4 | 6;

export interface Subnet {
  readonly family: Family;
  /** Of the network: host bits are zero. */
  readonly base: bigint;
  readonly prefix: number;
}

const BITS: Readonly<Record<Family, number>> = { 4: 32, 6: 128 };

export function familyOf(address: string): Family | undefined {
  return isIPv4(address) ? 4 : isIPv6(address) ? 6 : undefined;
}

/** Fails with `invalid-argument`. */
export function parseAddress(text: string): bigint {
  if (isIPv4(text)) return text.split('.').reduce((value, byte) => (value << 8n) | BigInt(byte), 0n);
  if (!isIPv6(text) || text.includes('%'))
    throw new BerthError('invalid-argument', `invalid address: ${text}`);
  // The last 32 bits may be written as an IPv4 address.
  const plain = text.replace(/[\d.]+\.[\d.]+$/, (tail) => {
    const value = parseAddress(tail);
    return `${(value >> 16n).toString(16)}:${(value & 0xffffn).toString(16)}`;
  });
  const [head = '', tail] = plain.split('::');
  const groups = (part: string) => (part === '' ? [] : part.split(':'));
  const left = groups(head);
  const right = tail === undefined ? [] : groups(tail);
  const all = [...left, ...Array<string>(8 - left.length - right.length).fill('0'), ...right];
  return all.reduce((value, group) => (value << 16n) | BigInt(`0x${group}`), 0n);
}

export function formatAddress(value: bigint, family: Family): string {
  if (family === 4) return [24n, 16n, 8n, 0n].map((shift) => (value >> shift) & 255n).join('.');
  const groups = Array.from({ length: 8 }, (_, index) =>
    ((value >> BigInt(112 - 16 * index)) & 0xffffn).toString(16),
  ).join(':');
  // The longest run of zeros, the first of equals, is left out; a single one is not.
  const runs = [...groups.matchAll(/(?:^|:)0(?::0)+(?=:|$)/g)].map(([run]) => run);
  const longest = runs.reduce((best, run) => (count(run) > count(best) ? run : best), '');
  return longest === '' ? groups : groups.replace(longest, '::').replace(/:{3,}/, '::');
}

const count = (run: string) => run.split('0').length;

/** ADDRESS/PREFIX, whose host bits must be zero. Fails with `invalid-argument`. */
export function parseSubnet(text: string): Subnet {
  const { address, prefix, family } = parsePrefixed(text);
  const base = address & maskOf(family, prefix);
  if (base !== address)
    throw new BerthError(
      'invalid-argument',
      `${text} is not a subnet: did you mean ${formatAddress(base, family)}/${prefix}?`,
    );
  return { family, base, prefix };
}

function parsePrefixed(text: string): { address: bigint; prefix: number; family: Family } {
  const [host = '', length = '', more] = text.split('/');
  const family = familyOf(host);
  const prefix = Number(length);
  if (family === undefined || more !== undefined || !/^\d{1,3}$/.test(length) || prefix > BITS[family])
    throw new BerthError(
      'invalid-argument',
      `invalid subnet: ${text}: it looks like 10.1.0.0/24 or fd00::/64`,
    );
  return { address: parseAddress(host), prefix, family };
}

export function formatSubnet({ base, prefix, family }: Subnet): string {
  return `${formatAddress(base, family)}/${prefix}`;
}

export function contains(subnet: Subnet, address: bigint): boolean {
  return (address & maskOf(subnet.family, subnet.prefix)) === subnet.base;
}

export function overlap(one: Subnet, other: Subnet): boolean {
  if (one.family !== other.family) return false;
  const [wide, narrow] = one.prefix <= other.prefix ? [one, other] : [other, one];
  return contains(wide, narrow.base);
}

/** The last address of the subnet: of IPv4, the one for broadcasts. */
export function lastOf({ base, prefix, family }: Subnet): bigint {
  return base | ((1n << BigInt(BITS[family] - prefix)) - 1n);
}

function maskOf(family: Family, prefix: number): bigint {
  const bits = BigInt(BITS[family]);
  return ((1n << bits) - 1n) ^ ((1n << (bits - BigInt(prefix))) - 1n);
}

/** Locally administered, for one station, and the same for an id at any time. */
export function macOf(id: string): string {
  return `02${id.slice(0, 10).replace(/../g, ':$&')}`;
}
