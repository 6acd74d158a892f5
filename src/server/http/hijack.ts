// Taking a connection over from HTTP: 101 for clients that ask for an upgrade, 200 and raw bytes for older ones.
// From then on the client's bytes are a process's input and the process's output goes to the client, each way with
// its own end and its own back pressure.

import { Socket } from 'node:net';
import type { Duplex, Readable } from 'node:stream';
import type { ProcessIo } from '../../core/index.ts';
import type { Call } from './call.ts';

/** How long a client may take to close after it has read all and been told that there is no more. */
const LINGER_MS = 5_000;

export const RAW_STREAM = 'application/vnd.docker.raw-stream';
export const MULTIPLEXED_STREAM = 'application/vnd.docker.multiplexed-stream';

/** The content type of a process's output, which clients since API 1.42 are told apart. */
export function streamType(call: Call, tty: boolean): string {
  return tty || !call.atLeast('1.42') ? RAW_STREAM : MULTIPLEXED_STREAM;
}

/**
 * The bare connection, the answer's head already written. To be called before anything is started that has output: clients
 * that read the head through a buffer lose what they read along with it.
 */
export function hijack(call: Call, type: string): Duplex {
  const { socket, response } = call;
  call.hijacked = true;
  response.detachSocket(socket as Socket);
  if (call.upgrade)
    socket.write(
      `HTTP/1.1 101 UPGRADED\r\nContent-Type: ${type}\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\n`,
    );
  else {
    releaseFromParser(socket);
    socket.write(`HTTP/1.1 200 OK\r\nContent-Type: ${type}\r\n\r\n`);
  }
  socket.once('close', () => call.abort());
  socket.on('error', () => socket.destroy());
  if (socket instanceof Socket) {
    socket.setTimeout(0);
    socket.setNoDelay(true);
  }
  return socket;
}

/** Node's server reads sockets for its HTTP parser until someone else listens to them. */
export function releaseFromParser(socket: Duplex): void {
  socket.on('data', () => {});
  for (const event of ['data', 'end', 'drain', 'error', 'timeout']) socket.removeAllListeners(event);
  socket.pause();
}

export interface Conversation {
  /** Whether the client's bytes reach the process. */
  readonly input: boolean;
  /** Whether the client's end of input is the process's end of file; otherwise it ends the conversation. */
  readonly endsInput: boolean;
  /** Sent before the live output, e.g. what was logged so far. */
  readonly before?: Readable;
}

/**
 * Connects client and process until the output ends or the client goes away; the process goes on. The client's end of the
 * connection has been taken by `hijack`.
 */
export async function converse(
  call: Call,
  socket: Duplex,
  io: ProcessIo,
  options: Conversation,
): Promise<void> {
  if (socket.destroyed) return io.close();
  const released = new Promise<void>((resolve) => {
    socket.once('close', () => {
      io.close();
      resolve();
    });
  });
  io.output.on('error', () => socket.destroy());
  io.input.on('error', () => {});
  io.exit.catch(() => {});
  connectInput(call, socket, io, options);
  if (options.before !== undefined) await pump(options.before, socket);
  io.output.pipe(socket, { end: false });
  io.output.once('end', () => endConversation(socket));
  await released;
}

function connectInput(call: Call, socket: Duplex, io: ProcessIo, options: Conversation): void {
  if (!options.input) {
    socket.resume();
    return;
  }
  if (call.pending.length > 0) io.input.write(call.pending);
  socket.pipe(io.input, { end: false });
  socket.once('end', () => {
    if (options.endsInput) io.input.end();
    else endConversation(socket);
  });
}

async function pump(source: Readable, socket: Duplex): Promise<void> {
  for await (const chunk of source as AsyncIterable<Buffer>) {
    if (socket.destroyed) return;
    if (!socket.write(chunk)) await drained(socket);
  }
}

function drained(socket: Duplex): Promise<void> {
  return new Promise((resolve) => {
    const done = () => {
      socket.off('drain', done).off('close', done);
      resolve();
    };
    socket.on('drain', done).on('close', done);
  });
}

/**
 * Ends our side, takes in what the client still sends, and closes when it does. A client may take as long as it likes to
 * read what was sent before.
 */
export function endConversation(socket: Duplex): void {
  socket.unpipe();
  socket.resume();
  socket.once('finish', () => {
    if (socket.readableEnded) return void socket.destroy();
    const timer = setTimeout(() => socket.destroy(), LINGER_MS);
    timer.unref();
    socket.once('end', () => socket.destroy());
    socket.once('close', () => clearTimeout(timer));
  });
  socket.end();
}
