// Addresses that come from outside pass the firewall before the client learns them.

import { type DnsReply, TYPE } from '../../formats/dns.ts';
import type { Asked } from './exchange.ts';
import { addressBytes, addressText } from './ip-bytes.ts';

export interface AddressRecord {
  /** In its usual form. */
  readonly address: string;
  readonly ttlSeconds: number;
}

export interface Found extends AddressRecord {
  readonly type: number;
  readonly data: Buffer;
}

/**
 * The addresses of an answer, whatever chain of aliases leads to them: whoever answers for the name says where it leads.
 * Those in additional records are hints, for which clients ask again.
 */
export function addressesIn({ bytes, message }: Asked): Found[] {
  return message.answers
    .filter(({ type }) => type === TYPE.a || type === TYPE.aaaa)
    .flatMap(({ type, ttl: ttlSeconds, dataStart, end }) => {
      const data = bytes.subarray(dataStart, end);
      const address = data.length === (type === TYPE.a ? 4 : 16) ? addressText(data) : undefined;
      return address === undefined ? [] : [{ address, ttlSeconds, type, data }];
    });
}

/** Those of `found` that are in `allowed`, as records of an answer; undefined when that is all of them. */
export function remaining(found: readonly Found[], allowed: readonly string[]): DnsReply['records'] {
  const keys = new Set(allowed.map((address) => addressBytes(address)?.toString('hex')));
  const kept = found.filter(({ data }) => keys.has(data.toString('hex')));
  if (kept.length === found.length) return undefined;
  return kept.map(({ type, ttlSeconds, data }) => ({ type, ttl: ttlSeconds, data }));
}
