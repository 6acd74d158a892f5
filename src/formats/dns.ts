// DNS messages as far as a server between stub resolvers and real ones has to read them: the header, the question, and
// where each record lies. What goes through stays the bytes it was, so that nothing gets lost that is not known here.
// Bounded by construction: no compression pointer is ever followed. Sources: RFC 1035, RFC 6891 (EDNS), RFC 8914 (reasons).

export const HEADER_BYTES = 12;
/** What fits a datagram when the client says nothing else. */
export const PLAIN_UDP_BYTES = 512;
export const MAX_MESSAGE_BYTES = 0xffff;

export const TYPE = { a: 1, cname: 5, ptr: 12, aaaa: 28, opt: 41, ixfr: 251, axfr: 252 } as const;
export const CLASS_INTERNET = 1;
export const RCODE = {
  noError: 0,
  formatError: 1,
  serverFailure: 2,
  noSuchName: 3,
  notImplemented: 4,
  refused: 5,
  badVersion: 16,
} as const;

const FLAG = { reply: 0x8000, authoritative: 0x0400, truncated: 0x0200, available: 0x0080 } as const;
/** Of a query's flags, those that its reply repeats: opcode, recursion desired, checking disabled. */
const REPEATED_FLAGS = 0x7910;
const DNSSEC_OK = 0x8000;
const REASON_OPTION = 15;
/** Recommended by dnsflagday.net/2020: never fragmented. */
const OUR_UDP_BYTES = 1232;

export interface DnsQuestion {
  /** Lower case, labels joined by dots, without a final one; other than printable ASCII as \DDD. */
  readonly name: string;
  readonly type: number;
  readonly class: number;
  /** Where the question ends in the message; it starts behind the header. */
  readonly end: number;
}

/** A record in its message: offsets, so that it can be copied, cut off or changed in place. */
export interface DnsRecord {
  readonly type: number;
  /** Of OPT: the size of datagrams that its sender takes. */
  readonly class: number;
  readonly ttl: number;
  readonly start: number;
  readonly dataStart: number;
  readonly end: number;
}

export interface DnsMessage {
  readonly id: number;
  readonly isReply: boolean;
  readonly isTruncated: boolean;
  readonly opcode: number;
  readonly rcode: number;
  /** Absent in some replies that report an error. */
  readonly question: DnsQuestion | undefined;
  readonly answers: readonly DnsRecord[];
  readonly authorities: readonly DnsRecord[];
  readonly additionals: readonly DnsRecord[];
}

/** Throws RangeError when these bytes are no message with at most one question. Bytes behind the last record are passed over. */
export function parseDns(bytes: Buffer): DnsMessage {
  if (bytes.length < HEADER_BYTES) throw new RangeError('shorter than a header');
  const flags = bytes.readUInt16BE(2);
  const questions = bytes.readUInt16BE(4);
  if (questions > 1) throw new RangeError(`${questions} questions`);
  const question = questions === 0 ? undefined : parseQuestion(bytes);
  const isTruncated = (flags & FLAG.truncated) !== 0;
  let at = question?.end ?? HEADER_BYTES;
  const section = (count: number): DnsRecord[] => {
    const records: DnsRecord[] = [];
    while (records.length < count) {
      const record = recordAt(bytes, at);
      // Some servers cut a message in the middle of a record: what is whole counts.
      if (record === undefined && isTruncated) break;
      if (record === undefined) throw new RangeError(`no record at byte ${at}`);
      records.push(record);
      at = record.end;
    }
    return records;
  };
  return {
    id: bytes.readUInt16BE(0),
    isReply: (flags & FLAG.reply) !== 0,
    isTruncated,
    opcode: (flags >> 11) & 15,
    rcode: flags & 15,
    question,
    answers: section(bytes.readUInt16BE(6)),
    authorities: section(bytes.readUInt16BE(8)),
    additionals: section(bytes.readUInt16BE(10)),
  };
}

/** Nothing stands before a question that its name could point to: it is written out. */
function parseQuestion(bytes: Buffer): DnsQuestion {
  const labels: string[] = [];
  let at = HEADER_BYTES;
  for (let length = bytes[at]; length !== 0; length = bytes[at]) {
    const end = at + 1 + (length ?? 0);
    if (length === undefined || length > 63 || end >= bytes.length) throw new RangeError('malformed name');
    if (end - HEADER_BYTES > 254) throw new RangeError('name longer than 255 bytes');
    labels.push(labelText(bytes.subarray(at + 1, end)));
    at = end;
  }
  const end = at + 5;
  if (end > bytes.length) throw new RangeError('question cut off');
  const [type, class_] = [bytes.readUInt16BE(at + 1), bytes.readUInt16BE(at + 3)];
  return { name: labels.join('.'), type, class: class_, end };
}

function labelText(label: Buffer): string {
  return label
    .toString('latin1')
    .replace(/[.\\]/g, '\\$&')
    .replace(/[^!-~]/g, (sign) => `\\${String(sign.charCodeAt(0)).padStart(3, '0')}`)
    .toLowerCase();
}

function recordAt(bytes: Buffer, start: number): DnsRecord | undefined {
  let at = start;
  for (let length = bytes[at]; length !== 0; length = bytes[at]) {
    if (length === undefined || (length > 63 && length < 0xc0)) return undefined;
    // A pointer ends a name.
    if (length >= 0xc0) {
      at++;
      break;
    }
    at += 1 + length;
  }
  const dataStart = at + 11;
  if (dataStart > bytes.length) return undefined;
  const end = dataStart + bytes.readUInt16BE(at + 9);
  if (end > bytes.length) return undefined;
  return {
    type: bytes.readUInt16BE(at + 1),
    class: bytes.readUInt16BE(at + 3),
    ttl: bytes.readUInt32BE(at + 5),
    start,
    dataStart,
    end,
  };
}

/** What a sender says of itself by EDNS; undefined: it does not know EDNS. */
export function ednsOf(message: DnsMessage): { udpBytes: number; version: number } | undefined {
  const opt = message.additionals.find((record) => record.type === TYPE.opt);
  return opt && { udpBytes: opt.class, version: (opt.ttl >> 16) & 0xff };
}

export interface DnsReply {
  readonly rcode: number;
  /** All under the name that was asked for. */
  readonly records?: readonly { readonly type: number; readonly ttl: number; readonly data: Uint8Array }[];
  readonly authoritative?: boolean;
  /** Told to clients that know EDNS: a code of RFC 8914, and words. */
  readonly reason?: { readonly code: number; readonly text: string };
}

/** A reply of our own to `query`: as many records as `limitBytes` allow, marked as truncated when that is not all. */
export function encodeReply(query: Buffer, message: DnsMessage, reply: DnsReply, limitBytes: number): Buffer {
  const question = message.question === undefined ? [] : [query.subarray(HEADER_BYTES, message.question.end)];
  const opt = encodeOpt(message, reply);
  let free = limitBytes - HEADER_BYTES - (question[0]?.length ?? 0) - opt.length;
  const records: Buffer[] = [];
  for (const record of (reply.records ?? []).map(encodeRecord)) {
    free -= record.length;
    if (free < 0) break;
    records.push(record);
  }
  const isTruncated = records.length < (reply.records?.length ?? 0);
  const header = Buffer.alloc(HEADER_BYTES);
  query.copy(header, 0, 0, 4);
  const flags =
    (query.readUInt16BE(2) & REPEATED_FLAGS) |
    FLAG.reply |
    FLAG.available |
    (reply.authoritative === true ? FLAG.authoritative : 0) |
    (isTruncated ? FLAG.truncated : 0);
  header.writeUInt16BE(flags | (reply.rcode & 15), 2);
  header.writeUInt16BE(question.length, 4);
  header.writeUInt16BE(records.length, 6);
  header.writeUInt16BE(opt.length === 0 ? 0 : 1, 10);
  return Buffer.concat([header, ...question, ...records, opt]);
}

function encodeRecord(record: { type: number; ttl: number; data: Uint8Array }): Buffer {
  const head = Buffer.alloc(12);
  // The name is that of the question.
  head.writeUInt16BE(0xc000 | HEADER_BYTES, 0);
  head.writeUInt16BE(record.type, 2);
  head.writeUInt16BE(CLASS_INTERNET, 4);
  head.writeUInt32BE(record.ttl, 6);
  head.writeUInt16BE(record.data.length, 10);
  return Buffer.concat([head, record.data]);
}

/** Whoever sends EDNS gets EDNS; nobody else does. */
function encodeOpt(message: DnsMessage, reply: DnsReply): Buffer {
  const asked = message.additionals.find((record) => record.type === TYPE.opt);
  if (asked === undefined) return Buffer.alloc(0);
  const text = Buffer.from(reply.reason?.text ?? '');
  const option = Buffer.alloc(reply.reason === undefined ? 0 : 6);
  if (reply.reason !== undefined) {
    option.writeUInt16BE(REASON_OPTION, 0);
    option.writeUInt16BE(2 + text.length, 2);
    option.writeUInt16BE(reply.reason.code, 4);
  }
  const head = Buffer.alloc(11);
  head.writeUInt16BE(TYPE.opt, 1);
  head.writeUInt16BE(OUR_UDP_BYTES, 3);
  head.writeUInt8(reply.rcode >> 4, 5);
  head.writeUInt16BE(asked.ttl & DNSSEC_OK, 7);
  head.writeUInt16BE(option.length + text.length, 9);
  return Buffer.concat([head, option, text]);
}

/** The bytes of `name` written out; undefined when it has an empty label, one over 63 bytes or is too long. */
export function encodeName(name: string): Buffer | undefined {
  const labels = name.split('.').map((label) => Buffer.from(label));
  if (labels.some((label) => label.length === 0 || label.length > 63)) return undefined;
  const bytes = Buffer.concat([
    ...labels.flatMap((label) => [Buffer.from([label.length]), label]),
    Buffer.alloc(1),
  ]);
  return bytes.length > 255 ? undefined : bytes;
}

/** As much of a message as fits, cut between records and marked as truncated: names point backwards only, so what stays is whole. */
export function truncateMessage(bytes: Buffer, message: DnsMessage, limitBytes: number): Buffer {
  if (bytes.length <= limitBytes) return bytes;
  const opt = message.additionals.find((record) => record.type === TYPE.opt);
  const tail = opt === undefined ? Buffer.alloc(0) : bytes.subarray(opt.start, opt.end);
  const kept = message.answers.filter((record) => record.end + tail.length <= limitBytes);
  const end = kept.at(-1)?.end ?? message.question?.end ?? HEADER_BYTES;
  const cut = Buffer.concat([
    bytes.subarray(0, end),
    end + tail.length > limitBytes ? Buffer.alloc(0) : tail,
  ]);
  cut.writeUInt16BE(cut.readUInt16BE(2) | FLAG.truncated, 2);
  cut.writeUInt16BE(kept.length, 6);
  cut.writeUInt16BE(0, 8);
  cut.writeUInt16BE(cut.length > end ? 1 : 0, 10);
  return cut;
}

/** The message with no record that may be remembered for longer than this. */
export function capTtls(bytes: Buffer, message: DnsMessage, maxSeconds: number): Buffer {
  const copy = Buffer.from(bytes);
  for (const record of [...message.answers, ...message.authorities, ...message.additionals])
    if (record.type !== TYPE.opt && record.ttl > maxSeconds)
      copy.writeUInt32BE(maxSeconds, record.dataStart - 6);
  return copy;
}

/** Whether `reply` answers what `query` asks: same question, letters of either case. Its id is the caller's to compare. */
export function isReplyTo(reply: DnsMessage, query: DnsMessage): boolean {
  if (!reply.isReply || reply.opcode !== query.opcode) return false;
  const [told, asked] = [reply.question, query.question];
  // A server that did not understand a message may leave out the question.
  if (told === undefined) return reply.rcode !== RCODE.noError && reply.answers.length === 0;
  return told.name === asked?.name && told.type === asked.type && told.class === asked.class;
}
