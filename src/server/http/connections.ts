// Bounds on the connections of clients: how many there are, and how long one may be without a whole request.

import type { Server } from 'node:http';
import type { Duplex } from 'node:stream';
import { endConversation, releaseFromParser } from './hijack.ts';

export interface ConnectionLimits {
  /** Above this, connections without a request give way to new ones; where there are none, new ones are refused. */
  readonly mostConnections: number;
  /** Limit for the head of a request, from the connection's beginning or the last answer. */
  readonly headMs: number;
}

const REFUSAL =
  'HTTP/1.1 503 Service Unavailable\r\nContent-Type: application/json\r\nConnection: close\r\n\r\n' +
  '{"message":"the daemon has as many clients as it takes: close connections that are not used"}\n';

/** Watches a server's connections. Costs nothing while each of them is being answered, or there is none. */
export function limitConnections(server: Server, { mostConnections, headMs }: ConnectionLimits): void {
  const open = new Set<Duplex>();
  /** Connections without a request, and since when; the longest first. */
  const waiting = new Map<Duplex, number>();
  let timer: NodeJS.Timeout | undefined;
  const sweep = () => {
    timer = undefined;
    for (const [socket, since] of waiting) {
      if (performance.now() - since < headMs) break;
      socket.destroy();
    }
    arm();
  };
  const arm = () => {
    if (timer === undefined && waiting.size > 0) timer = setTimeout(sweep, headMs / 4).unref();
  };
  const wait = (socket: Duplex) => {
    if (socket.destroyed) return;
    waiting.set(socket, performance.now());
    arm();
  };
  server.on('connection', (socket) => {
    socket.once('close', () => {
      open.delete(socket);
      waiting.delete(socket);
    });
    if (open.size >= mostConnections) {
      const [idle] = waiting.keys();
      if (idle === undefined) {
        releaseFromParser(socket);
        socket.on('error', () => socket.destroy());
        socket.write(REFUSAL);
        endConversation(socket);
        return;
      }
      idle.destroy();
      open.delete(idle);
      waiting.delete(idle);
    }
    open.add(socket);
    wait(socket);
  });
  server.on('request', (request, response) => {
    const { socket } = request;
    waiting.delete(socket);
    // Comes for no answer whose connection was taken over.
    response.once('finish', () => wait(socket));
  });
  server.on('upgrade', (_request, socket) => waiting.delete(socket));
}
