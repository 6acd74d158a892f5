// One question of a workload becomes one answer: from our own names, by way of the host's resolvers, or a refusal.

import { errorMessage } from '../../core/index.ts';
import {
  capTtls,
  type DnsQuestion,
  type DnsReply,
  encodeReply,
  HEADER_BYTES,
  MAX_MESSAGE_BYTES,
  truncateMessage,
} from '../../formats/dns.ts';
import { type AddressRecord, addressesIn, remaining } from './admission.ts';
import type { Asked, Transport } from './exchange.ts';
import { Forwarder } from './forwarder.ts';
import { InFlight } from './in-flight.ts';
import { type NameSource, ownReply } from './own-names.ts';
import {
  BLOCKED,
  datagramLimit,
  FAILED,
  OVERLOADED,
  parseQuery,
  refusalOf,
  UNREACHABLE,
} from './refusals.ts';
import type { Upstream } from './resolv-conf.ts';

/** Who asks for what. */
export interface NameQuery {
  readonly networkId: string;
  /** The address that the question came from. */
  readonly client: string;
  /** As in NameSource. */
  readonly name: string;
}

export interface NameServerOptions {
  readonly source: NameSource;
  /** Whom to ask outside: the host's resolvers (`hostResolvers`), or others that the client is to use. For each question. */
  readonly upstreams: (query: NameQuery) => readonly Upstream[];
  /** Whether this client may ask outside for this name: not in an internal network, not against its policy. */
  readonly forwards: (query: NameQuery) => boolean;
  /**
   * Called with the addresses of an answer from outside before it goes to the client; for a chain of aliases they are those
   * at its end. Resolves, when the firewall lets the client reach them, with those that it may be told. The client
   * forgets them after MAX_TTL_SECONDS at the latest.
   */
  readonly admit?: (query: NameQuery, addresses: readonly AddressRecord[]) => Promise<readonly string[]>;
  /** Told when `source`, `forwards` or `admit` begin to fail, which makes questions fail. */
  readonly log?: (line: string) => void;
}

/** A message as it came from a client. */
export interface Incoming {
  readonly networkId: string;
  readonly client: string;
  readonly clientPort: number;
  readonly transport: Transport;
  readonly bytes: Buffer;
}

/** Of addresses that were admitted: the firewall need not remember them for longer. */
export const MAX_TTL_SECONDS = 3600;

interface Pending extends Asked {
  readonly incoming: Incoming;
  readonly limitBytes: number;
}

export class Resolver {
  readonly #options: NameServerOptions;
  readonly #forwarder = new Forwarder();
  readonly #inFlight = new InFlight();
  readonly #closing = new AbortController();
  #isFailing = false;

  constructor(options: NameServerOptions) {
    this.#options = options;
  }

  /** Questions that wait for an upstream now. */
  get waiting(): number {
    return this.#inFlight.total;
  }

  /** What to send back; undefined: nothing. Never rejects. */
  async answer(incoming: Incoming): Promise<Buffer | undefined> {
    const { bytes, transport } = incoming;
    // Whoever answers answers may be made to talk to itself for ever.
    if (bytes.length < HEADER_BYTES || (bytes[2] ?? 0) >= 0x80) return undefined;
    const message = parseQuery(bytes);
    const limitBytes = transport === 'tcp' ? MAX_MESSAGE_BYTES : datagramLimit(message);
    const pending = { incoming, bytes, message, limitBytes };
    const refusal = refusalOf(message);
    if (refusal !== undefined || message.question === undefined) return replyTo(pending, refusal ?? FAILED);
    try {
      const own = ownReply(this.#options.source, incoming, message.question);
      const reply =
        own === undefined ? await this.#outside(pending, message.question) : replyTo(pending, own);
      this.#isFailing = false;
      return reply;
    } catch (error) {
      // Workloads decide how often they ask, and should not decide how long the log gets.
      if (!this.#isFailing) this.#options.log?.(`name service: ${errorMessage(error)}`);
      this.#isFailing = true;
      return replyTo(pending, FAILED);
    }
  }

  /** Ends all waiting. */
  close(): void {
    this.#closing.abort();
  }

  async #outside(pending: Pending, question: DnsQuestion): Promise<Buffer | undefined> {
    const { networkId, client, clientPort, transport } = pending.incoming;
    const query = { networkId, client, name: question.name };
    if (!this.#options.forwards(query)) return replyTo(pending, BLOCKED);
    const key = `${transport} ${clientPort} ${pending.message.id} ${question.type} ${question.name}`;
    const entry = this.#inFlight.enter(client, key);
    // By UDP the client will ask again, if it still wants to know.
    if (typeof entry === 'string')
      return entry === 'full' && transport === 'tcp' ? replyTo(pending, OVERLOADED) : undefined;
    using _ = entry;
    const upstreams = this.#options.upstreams(query);
    const found = await this.#forwarder.ask(pending, upstreams, transport, this.#closing.signal);
    if (found === undefined) return replyTo(pending, UNREACHABLE);
    return await this.#admitted(query, found, pending, question);
  }

  /** The answer as it came, if it may go so. */
  async #admitted(query: NameQuery, found: Asked, pending: Pending, question: DnsQuestion): Promise<Buffer> {
    const { admit } = this.#options;
    const addresses = addressesIn(found);
    if (admit === undefined || addresses.length === 0)
      return truncateMessage(found.bytes, found.message, pending.limitBytes);
    const records = remaining(addresses, await admit(query, addresses));
    if (records === undefined) {
      const bytes = capTtls(found.bytes, found.message, MAX_TTL_SECONDS);
      return truncateMessage(bytes, found.message, pending.limitBytes);
    }
    const { rcode } = found.message;
    return replyTo(pending, { rcode, records: records.filter(({ type }) => type === question.type) });
  }
}

function replyTo({ bytes, message, limitBytes }: Pending, reply: DnsReply): Buffer {
  return encodeReply(bytes, message, reply, limitBytes);
}
