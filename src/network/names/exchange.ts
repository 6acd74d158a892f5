// One question to one upstream. Port and id are random and the answer is checked, so that nobody who does not see the
// question can answer it (RFC 5452).

import { randomInt } from 'node:crypto';
import { createSocket, type Socket as UdpSocket } from 'node:dgram';
import { connect, isIPv6 } from 'node:net';
import { type DnsMessage, isReplyTo, MAX_MESSAGE_BYTES, parseDns } from '../../formats/dns.ts';
import type { Upstream } from './resolv-conf.ts';
import { FrameReader, frame } from './tcp-frames.ts';

export type Transport = 'udp' | 'tcp';

export interface Asked {
  readonly bytes: Buffer;
  readonly message: DnsMessage;
}

/** Resolves with the upstream's answer, which has the id of `query`; waits for it until `signal`, then rejects. */
export async function exchange(
  upstream: Upstream,
  query: Asked,
  transport: Transport,
  signal: AbortSignal,
): Promise<Asked> {
  signal.throwIfAborted();
  const id = randomInt(0x10000);
  const question = withId(query.bytes, id);
  const accept = (bytes: Buffer): Asked | undefined => {
    const message = tryParse(bytes);
    if (message?.id !== id || !isReplyTo(message, query.message)) return undefined;
    return { bytes: withId(bytes, query.message.id), message };
  };
  return await (transport === 'udp' ? askByUdp : askByTcp)(upstream, question, accept, signal);
}

type Accept = (bytes: Buffer) => Asked | undefined;

async function askByUdp(
  { address, port }: Upstream,
  question: Buffer,
  accept: Accept,
  signal: AbortSignal,
): Promise<Asked> {
  const { promise, resolve, reject } = Promise.withResolvers<Asked>();
  const socket: UdpSocket = createSocket(isIPv6(address) ? 'udp6' : 'udp4');
  let closed = false;
  const abort = () => reject(signal.reason);
  signal.addEventListener('abort', abort, { once: true });
  socket.on('error', reject);
  socket.on('message', (bytes) => {
    const answer = accept(bytes);
    // Anything else may be forged: the true answer may still come.
    if (answer !== undefined) resolve(answer);
  });
  // Connected: the kernel takes datagrams of this peer only, and reports that nobody listens there.
  socket.connect(port, address, (error?: Error) => {
    if (error) reject(error);
    else if (!closed) socket.send(question);
  });
  try {
    return await promise;
  } finally {
    signal.removeEventListener('abort', abort);
    closed = true;
    socket.close();
  }
}

async function askByTcp(
  { address, port }: Upstream,
  question: Buffer,
  accept: Accept,
  signal: AbortSignal,
): Promise<Asked> {
  const socket = connect({ host: address, port, signal });
  socket.write(frame(question));
  const reader = new FrameReader(MAX_MESSAGE_BYTES);
  try {
    for await (const chunk of socket as AsyncIterable<Buffer>)
      for (const bytes of reader.push(chunk)) {
        const answer = accept(bytes);
        if (answer !== undefined) return answer;
      }
  } finally {
    socket.destroy();
  }
  throw new Error(`${address} closed the connection without an answer`);
}

function tryParse(bytes: Buffer): DnsMessage | undefined {
  try {
    return parseDns(bytes);
  } catch {
    return undefined;
  }
}

function withId(bytes: Buffer, id: number): Buffer {
  const copy = Buffer.from(bytes);
  copy.writeUInt16BE(id, 0);
  return copy;
}
