// What is said to questions that are not answered, and what is checked before one is.

import {
  CLASS_INTERNET,
  type DnsMessage,
  type DnsReply,
  ednsOf,
  PLAIN_UDP_BYTES,
  parseDns,
  RCODE,
  TYPE,
} from '../../formats/dns.ts';

/** Datagrams larger than this come in too many pieces, whatever the client says. */
const MAX_UDP_BYTES = 4096;
/** Codes of RFC 8914. */
const REASON = { other: 0, blocked: 15, noReachableAuthority: 22 } as const;

/**
 * A name that may not be asked for does not exist, as far as the client is concerned: musl takes REFUSED for silence and
 * waits, all take SERVFAIL for something that is worth another try. Those who ask by EDNS learn the reason.
 */
export const BLOCKED: DnsReply = {
  rcode: RCODE.noSuchName,
  reason: { code: REASON.blocked, text: 'the network or its policy lets no question about this name out' },
};

export const UNREACHABLE: DnsReply = {
  rcode: RCODE.serverFailure,
  reason: { code: REASON.noReachableAuthority, text: 'no resolver of the host answered' },
};

export const OVERLOADED: DnsReply = {
  rcode: RCODE.serverFailure,
  reason: { code: REASON.other, text: 'too many questions of this client wait for an answer' },
};

export const FAILED: DnsReply = {
  rcode: RCODE.serverFailure,
  reason: { code: REASON.other, text: 'the name service failed' },
};

/** A message of at least a header; one that cannot be parsed further has no question. */
export function parseQuery(bytes: Buffer): DnsMessage {
  try {
    return parseDns(bytes);
  } catch {
    const [id, flags] = [bytes.readUInt16BE(0), bytes.readUInt16BE(2)];
    const none = { question: undefined, answers: [], authorities: [], additionals: [] };
    return { id, isReply: false, isTruncated: false, opcode: (flags >> 11) & 15, rcode: 0, ...none };
  }
}

/** Why a message is answered without looking at its name; zone transfers are nothing that a workload may ask of a host. */
export function refusalOf(message: DnsMessage): DnsReply | undefined {
  const { question } = message;
  if (message.opcode !== 0) return { rcode: RCODE.notImplemented };
  if (question === undefined) return { rcode: RCODE.formatError };
  if ((ednsOf(message)?.version ?? 0) > 0) return { rcode: RCODE.badVersion };
  const isTransfer = question.type === TYPE.axfr || question.type === TYPE.ixfr;
  return isTransfer || question.class !== CLASS_INTERNET ? { rcode: RCODE.refused } : undefined;
}

/** How large a datagram the sender of `message` takes. */
export function datagramLimit(message: DnsMessage): number {
  const bytes = ednsOf(message)?.udpBytes ?? PLAIN_UDP_BYTES;
  return Math.min(Math.max(bytes, PLAIN_UDP_BYTES), MAX_UDP_BYTES);
}
