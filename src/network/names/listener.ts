// The sockets of one address of a network: datagrams and connections, on one port.

import { createSocket, type Socket as UdpSocket } from 'node:dgram';
import { once } from 'node:events';
import { createServer, isIPv6, type Server, type Socket } from 'node:net';
import { BerthError, errorMessage } from '../../core/index.ts';
import type { Incoming } from './resolver.ts';
import { FrameReader, frame } from './tcp-frames.ts';

export interface Service {
  readonly networkId: string;
  /** Who is answered, by address; others are as if nobody listened. */
  readonly serves: (client: string) => boolean;
  readonly answer: (incoming: Incoming) => Promise<Buffer | undefined>;
}

/** Questions are short; this leaves room for options. */
const MAX_QUERY_BYTES = 4096;
const MAX_CONNECTIONS = 256;
const MAX_CONNECTIONS_PER_CLIENT = 32;
const IDLE_MS = 10_000;
/** Of answers that a client does not read. */
const MAX_UNREAD_BYTES = 1 << 20;
/** A random port that is free for UDP may be taken for TCP. */
const PORT_ATTEMPTS = 20;

export class Listener {
  readonly port: number;
  readonly #service: Service;
  readonly #udp: UdpSocket;
  readonly #tcp: Server;
  readonly #connections = new Map<Socket, string>();

  private constructor(service: Service, udp: UdpSocket, tcp: Server) {
    this.port = udp.address().port;
    this.#service = service;
    this.#udp = udp;
    this.#tcp = tcp;
    // What the kernel says of datagrams that could not be sent is the client's matter.
    udp.on('error', () => {});
    udp.on('message', (bytes, { address, port }) => void this.#onDatagram(bytes, address, port));
    tcp.on('error', () => {});
    tcp.on('connection', (socket) => this.#onConnection(socket));
  }

  /** Fails with `unavailable` when the host does not have the address. */
  static async open(address: string, service: Service): Promise<Listener> {
    for (let attempt = 1; ; attempt++) {
      const udp = isIPv6(address) ? createSocket({ type: 'udp6', ipv6Only: true }) : createSocket('udp4');
      // Half open: a client may end its side when it has asked.
      const tcp = createServer({ allowHalfOpen: true });
      tcp.maxConnections = MAX_CONNECTIONS;
      try {
        udp.bind(0, address);
        await once(udp, 'listening');
        tcp.listen({ port: udp.address().port, host: address, ipv6Only: true });
        await once(tcp, 'listening');
        return new Listener(service, udp, tcp);
      } catch (error) {
        udp.close();
        if ((error as NodeJS.ErrnoException).code === 'EADDRINUSE' && attempt < PORT_ATTEMPTS) continue;
        const text = `cannot serve names on ${address}: ${errorMessage(error)}: the bridge of the network must have this address`;
        throw new BerthError('unavailable', text, { cause: error });
      }
    }
  }

  /** Cuts all connections. */
  async close(): Promise<void> {
    for (const socket of this.#connections.keys()) socket.destroy();
    this.#tcp.close();
    this.#udp.close();
    await Promise.all([once(this.#tcp, 'close'), once(this.#udp, 'close')]);
  }

  async #onDatagram(bytes: Buffer, client: string, clientPort: number): Promise<void> {
    const { networkId, serves, answer } = this.#service;
    if (bytes.length > MAX_QUERY_BYTES || !serves(client)) return;
    const reply = await answer({ networkId, client, clientPort, transport: 'udp', bytes });
    if (reply !== undefined && this.#isOpen) this.#udp.send(reply, clientPort, client, () => {});
  }

  get #isOpen(): boolean {
    return this.#tcp.listening;
  }

  #onConnection(socket: Socket): void {
    const client = socket.remoteAddress;
    const others = [...this.#connections.values()].filter((address) => address === client).length;
    const { networkId, serves, answer } = this.#service;
    if (client === undefined || others >= MAX_CONNECTIONS_PER_CLIENT || !serves(client))
      return void socket.destroy();
    this.#connections.set(socket, client);
    socket.on('error', () => {});
    socket.on('close', () => this.#connections.delete(socket));
    socket.setTimeout(IDLE_MS, () => socket.destroy());
    const incoming = { networkId, client, clientPort: socket.remotePort ?? 0 };
    const reader = new FrameReader(MAX_QUERY_BYTES);
    let waiting = 0;
    let asked = false;
    const endIfDone = () => {
      if (asked && waiting === 0) socket.end();
    };
    const serve = async (bytes: Buffer): Promise<void> => {
      waiting++;
      const reply = await answer({ ...incoming, transport: 'tcp', bytes });
      waiting--;
      if (reply !== undefined && socket.writable) socket.write(frame(reply));
      if (socket.writableLength > MAX_UNREAD_BYTES) socket.destroy();
      endIfDone();
    };
    socket.on('data', (chunk) => {
      try {
        for (const bytes of reader.push(chunk)) void serve(bytes);
      } catch {
        socket.destroy();
      }
    });
    socket.on('end', () => {
      asked = true;
      endIfDone();
    });
  }
}
