// Connections by node:net.

import { connect as netConnect, type Socket } from 'node:net';
import { closedError, type Dial, Inbox, unavailable } from './link.ts';

const READ_BYTES = 64 * 1024;

/** A dialer over node:net: works wherever Node's API does. */
export const dialNode: Dial = (address) =>
  new Promise((resolve, reject) => {
    const target =
      address.kind === 'unix' ? { path: address.path } : { host: address.host, port: address.port };
    const inbox = new Inbox((on) => (on ? socket.resume() : socket.pause()));
    const socket = netConnect({
      ...target,
      allowHalfOpen: true,
      // Past the stream's own state: what comes in after a write failed is still wanted.
      onread: {
        buffer: Buffer.allocUnsafe(READ_BYTES),
        callback: (length, buffer) => {
          inbox.push(Buffer.from(buffer.subarray(0, length)));
          return true;
        },
      },
    });
    readBeforeDestroy(socket);
    let failure: Error | undefined;
    socket.on('end', () => inbox.finish());
    socket.on('error', (error) => {
      failure ??= error;
      reject(unavailable(address, error));
    });
    socket.on('close', () => inbox.finish(closedError(failure)));
    socket.on('connect', () =>
      resolve({
        read: () => inbox.read(),
        write: (data) =>
          new Promise((done, fail) => {
            if (!socket.writable) return fail(failure ?? closedError());
            // The callback comes when the bytes are handed to the kernel: that is the back pressure.
            socket.write(data, (error) => (error ? fail(error) : done()));
          }),
        end: () => socket.end(),
        close: (reason) => {
          failure ??= reason;
          inbox.finish(reason ?? closedError());
          socket.destroy();
        },
        hold: (on) => (on ? socket.ref() : socket.unref()),
        get open() {
          return !inbox.ended && !socket.destroyed;
        },
      }),
    );
  });

/**
 * Node destroys a socket at once when a write fails, and with it what the peer said before it closed: the very answer
 * that tells why. So the destruction waits for one more round of reading.
 */
function readBeforeDestroy(socket: Socket): void {
  const destroy = socket.destroy.bind(socket);
  socket.destroy = (error) => {
    if ((error as NodeJS.ErrnoException | undefined)?.code !== 'EPIPE') return destroy(error);
    setImmediate(() => setImmediate(() => destroy(error)));
    return socket;
  };
}
