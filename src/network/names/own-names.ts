// Questions about workloads, answered from what the daemon knows at this moment.

import { type DnsQuestion, type DnsReply, encodeName, RCODE, TYPE } from '../../formats/dns.ts';
import { addressBytes, pointedAddress } from './ip-bytes.ts';

/** Who asks: a client of a network, which may be on others, too. */
export interface Asker {
  readonly networkId: string;
  /** The address that the question came from. */
  readonly client: string;
}

/** What is known of names; asked for each query, so that changes are visible at once. */
export interface NameSource {
  /**
   * The addresses, of both families, of a name on the networks of who asks: workload, alias, service, short id. `name` is lower case and
   * has no final dot. Empty: the name exists and has no address; undefined: it is not ours and may be asked for outside.
   */
  addressesOf(asker: Asker, name: string): readonly string[] | undefined;
  /** The names of an address, the first one first. Empty: ours, but nobody's; undefined: not an address of these networks. */
  namesOf(asker: Asker, address: string): readonly string[] | undefined;
}

/**
 * Seconds that anyone may remember one of our names: none. Asking again costs a fraction of a millisecond; remembering
 * costs connections to an address that may be another workload's by now.
 */
const TTL_SECONDS = 0;

/** The answer to a question about one of our own names or addresses; undefined when it is about others. */
export function ownReply(source: NameSource, asker: Asker, question: DnsQuestion): DnsReply | undefined {
  const address = question.type === TYPE.ptr ? pointedAddress(question.name) : undefined;
  if (address !== undefined) return pointerReply(source.namesOf(asker, address));
  const addresses = source.addressesOf(asker, question.name);
  if (addresses === undefined) return undefined;
  const length = lengthOf(question.type);
  const found = addresses
    .flatMap((text) => addressBytes(text) ?? [])
    .filter((data) => data.length === length);
  return reply(question.type, shuffled(found));
}

function pointerReply(names: readonly string[] | undefined): DnsReply | undefined {
  if (names === undefined) return undefined;
  const data = names.flatMap((name) => encodeName(name) ?? []);
  return data.length === 0 ? { rcode: RCODE.noSuchName, authoritative: true } : reply(TYPE.ptr, data);
}

/** Without records: the name exists, this type of it does not. Without a SOA beside it nobody remembers that (RFC 2308). */
function reply(type: number, data: readonly Buffer[]): DnsReply {
  const records = data.map((bytes) => ({ type, ttl: TTL_SECONDS, data: bytes }));
  return { rcode: RCODE.noError, authoritative: true, records };
}

function lengthOf(type: number): number | undefined {
  if (type === TYPE.a) return 4;
  return type === TYPE.aaaa ? 16 : undefined;
}

/** Most clients take the first address: this spreads them over a service's workloads. */
function shuffled<T>(items: readonly T[]): T[] {
  return items
    .map((item) => ({ item, place: Math.random() }))
    .sort((one, other) => one.place - other.place)
    .map(({ item }) => item);
}
