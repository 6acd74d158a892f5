// The quickest dialer of the runtime we are in. In a Bun-compiled program Bun's own sockets save the load of node:net,
// which is a third of the program's start.

import type { Address } from './address.ts';
import { closedError, type Dial, Inbox, type Link, unavailable } from './link.ts';

/** The part of Bun's socket API that is used here. */
interface BunSocket {
  write(data: Uint8Array): number;
  shutdown(): void;
  terminate(): void;
  pause(): void;
  resume(): void;
  ref(): void;
  unref(): void;
}

interface BunHandlers {
  open(socket: BunSocket): void;
  data(socket: BunSocket, chunk: Uint8Array): void;
  drain(socket: BunSocket): void;
  end(socket: BunSocket): void;
  close(socket: BunSocket, error?: Error): void;
  error(socket: BunSocket, error: Error): void;
  connectError(socket: BunSocket, error: Error): void;
}

interface BunRuntime {
  connect(options: {
    unix?: string;
    hostname?: string;
    port?: number;
    allowHalfOpen: boolean;
    socket: BunHandlers;
  }): Promise<unknown>;
}

/** By Bun's sockets where there are any, else by node:net. */
export const dialFast: Dial = async (address) => {
  const bun = (globalThis as { Bun?: BunRuntime }).Bun;
  if (bun !== undefined) return dialBun(bun, address);
  const { dialNode } = await import('./dial-node.ts');
  return dialNode(address);
};

function dialBun(bun: BunRuntime, address: Address): Promise<Link> {
  const target =
    address.kind === 'unix' ? { unix: address.path } : { hostname: address.host, port: address.port };
  return new Promise((resolve, reject) => {
    let link: BunLink | undefined;
    bun
      .connect({
        ...target,
        allowHalfOpen: true,
        socket: {
          open: (socket) => {
            link = new BunLink(socket);
            resolve(link);
          },
          data: (_, chunk) => link?.inbox.push(Buffer.from(chunk)),
          drain: () => link?.flush(),
          end: () => link?.inbox.finish(),
          close: (_, error) => link?.gone(error),
          error: (_, error) => link?.close(error),
          connectError: (_, error) => reject(unavailable(address, error)),
        },
      })
      .catch((error: unknown) => reject(unavailable(address, error)));
  });
}

class BunLink implements Link {
  readonly inbox: Inbox;
  readonly #socket: BunSocket;
  #pending: { data: Uint8Array; done: () => void; fail: (error: Error) => void }[] = [];
  #ending = false;
  #closed: Error | undefined;

  constructor(socket: BunSocket) {
    this.#socket = socket;
    this.inbox = new Inbox((on) => (on ? socket.resume() : socket.pause()));
  }

  read(): Promise<Buffer | undefined> {
    return this.inbox.read();
  }

  write(data: Uint8Array): Promise<void> {
    if (this.#closed !== undefined) return Promise.reject(this.#closed);
    return new Promise((done, fail) => {
      this.#pending.push({ data, done, fail });
      if (this.#pending.length === 1) this.flush();
    });
  }

  /** Writes what the kernel takes; the rest waits for `drain`. */
  flush(): void {
    for (let first = this.#pending[0]; first !== undefined; first = this.#pending[0]) {
      const written = this.#socket.write(first.data);
      if (written < 0) {
        // What the peer said before it closed is still to be read; the end comes by `gone`.
        for (const { fail } of this.#pending.splice(0)) fail(closedError());
        return;
      }
      if (written < first.data.length) {
        first.data = first.data.subarray(written);
        return;
      }
      this.#pending.shift();
      first.done();
    }
    if (this.#ending) this.#socket.shutdown();
  }

  end(): void {
    this.#ending = true;
    if (this.#pending.length === 0) this.#socket.shutdown();
  }

  /** The socket closed. After our own half-close Bun tells the peer's end only by this. */
  gone(error: Error | undefined): void {
    this.inbox.finish(error);
    this.close(error);
  }

  close(reason?: Error): void {
    if (this.#closed !== undefined) return;
    this.#closed = reason ?? closedError();
    this.inbox.finish(this.#closed);
    for (const { fail } of this.#pending.splice(0)) fail(this.#closed);
    this.#socket.terminate();
  }

  hold(on: boolean): void {
    if (on) this.#socket.ref();
    else this.#socket.unref();
  }

  get open(): boolean {
    return this.#closed === undefined && !this.inbox.ended;
  }
}
