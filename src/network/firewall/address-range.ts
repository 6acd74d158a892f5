// Addresses and ranges of them as numbers.

import { isIP, isIPv6 } from 'node:net';

/** The 32 hexadecimal digits of a valid IPv6 address. */
export function formatHex(address: string): string {
  const dotted = /^(.*:)(\d+)\.(\d+)\.(\d+)\.(\d+)$/.exec(address);
  const groups = (text: string) => (text === '' ? [] : text.split(':'));
  const [head = '', tail] = (dotted === null ? address : `${dotted[1]}${dottedGroups(dotted)}`).split('::');
  const [before, after] = [groups(head), groups(tail ?? '')];
  const zeros = Array<string>(8 - before.length - after.length).fill('0');
  return [...before, ...(tail === undefined ? [] : zeros), ...after]
    .map((group) => group.padStart(4, '0'))
    .join('')
    .toLowerCase();
}

function dottedGroups(dotted: RegExpExecArray): string {
  const [a = 0, b = 0, c = 0, d = 0] = dotted.slice(2).map(Number);
  return `${((a << 8) | b).toString(16)}:${((c << 8) | d).toString(16)}`;
}

/** An address, or a CIDR without bits beyond its prefix; undefined when `text` is neither. */
export function normalizeRange(text: string): string | undefined {
  const [address = '', prefix, ...rest] = text.split('/');
  const bits = isIPv6(address) ? 128 : 32;
  if (isIP(address) === 0 || address.includes('%') || rest.length > 0) return undefined;
  if (prefix === undefined) return address.toLowerCase();
  if (!/^\d{1,3}$/.test(prefix) || Number(prefix) > bits) return undefined;
  const beyond = BigInt(bits - Number(prefix));
  const network = (toNumber(address) >> beyond) << beyond;
  return `${bits === 32 ? formatDotted(network) : formatGroups(network)}/${Number(prefix)}`;
}

function toNumber(address: string): bigint {
  if (isIPv6(address)) return BigInt(`0x${formatHex(address)}`);
  return address.split('.').reduce((number, part) => (number << 8n) | BigInt(part), 0n);
}

function formatDotted(number: bigint): string {
  return [24n, 16n, 8n, 0n].map((shift) => (number >> shift) & 0xffn).join('.');
}

/** RFC 5952: the longest run of zeros is left out. */
function formatGroups(number: bigint): string {
  const groups = Array.from({ length: 8 }, (_, index) => (number >> BigInt(112 - 16 * index)) & 0xffffn);
  const text = groups.map((group) => group.toString(16)).join(':');
  const runs = [...text.matchAll(/(?<![^:])0(:0)+(?![^:])/g)].sort((a, b) => b[0].length - a[0].length);
  const [run] = runs;
  if (run === undefined) return text;
  return `${text.slice(0, run.index)}::${text.slice(run.index + run[0].length)}`.replace(/:{3,}/, '::');
}
