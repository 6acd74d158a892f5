// Answers: JSON, nothing, streams of lines and of bytes.

import { once } from 'node:events';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { BerthError } from '../../core/index.ts';
import type { Call } from './call.ts';
import { toRefusal } from './errors.ts';

/** JSON with a status. */
export function sendJson({ request, response }: Call, value: unknown, status = 200): void {
  const body = Buffer.from(`${JSON.stringify(value)}\n`);
  response.writeHead(status, { 'Content-Type': 'application/json', 'Content-Length': body.length });
  if (request.complete) response.end(body);
  else {
    response.write(body);
    endAfterBody(request, response);
  }
}

/** How long a client may go on sending a body that nobody wants. */
const DISCARD_MS = 10_000;

/** Takes in what the client still sends: cut off in the middle, it would lose the answer (RFC 9112, section 9.6). */
function endAfterBody(request: IncomingMessage, response: ServerResponse): void {
  const timer = setTimeout(() => request.destroy(), DISCARD_MS);
  timer.unref();
  request.once('close', () => clearTimeout(timer));
  request.once('end', () => response.end());
  request.resume();
}

/** A status and no body. */
export function sendEmpty({ response }: Call, status = 204): void {
  if (status !== 204 && status !== 304) response.setHeader('Content-Length', 0);
  response.writeHead(status).end();
}

/** The reason of a refused HEAD, URI-encoded. */
const ERROR_HEADER = 'X-Berth-Error';
const MAX_ERROR_HEADER = 2000;

/** The refusal, if it can still be said; otherwise the connection is cut, which is all that is left to tell. */
export function sendError(call: Call, error: unknown): void {
  const { response } = call;
  if (call.hijacked || response.headersSent) {
    response.destroy();
    call.socket.destroy();
    return;
  }
  const { status, body } = toRefusal(error);
  // The answer to HEAD has no body: a header gives the error.
  if (call.request.method === 'HEAD')
    response.setHeader(ERROR_HEADER, encodeURI(body.message.slice(0, MAX_ERROR_HEADER)));
  sendJson(call, body, status);
}

/** Begins a stream whose parts are written one by one. */
export function beginStream({ response }: Call, type: string): void {
  response.writeHead(200, { 'Content-Type': type });
  response.flushHeaders();
}

/** Writes, and waits while the client reads too slowly. Fails with `cancelled` when it went away. */
export async function writePart(call: Call, part: string | Uint8Array): Promise<void> {
  const { response, signal } = call;
  if (signal.aborted || response.destroyed) throw new BerthError('cancelled', 'the client went away');
  if (response.write(part)) return;
  try {
    await once(response, 'drain', { signal });
  } catch (cause) {
    throw new BerthError('cancelled', 'the client went away', { cause });
  }
}

/** The bytes as a body; ends the answer. A failure on the way cuts the connection, so that no one takes it for the end. */
export async function sendStream(call: Call, type: string, source: Readable): Promise<void> {
  call.response.writeHead(200, { 'Content-Type': type });
  await pipeline(source, call.response, { signal: call.signal });
}

const MAX_UNREAD_BYTES = 256 << 10;

/**
 * A stream of JSON messages about a long piece of work, in Docker's form. An error before the first message becomes
 * an ordinary refusal; one after it becomes a last message with `error`.
 */
export async function sendMessages(
  call: Call,
  work: (send: (message: object) => void) => Promise<void>,
): Promise<void> {
  const { response } = call;
  const send = (message: object) => {
    if (!response.headersSent) response.writeHead(200, { 'Content-Type': 'application/json' });
    // Progress is of no use to a client that does not read.
    const isDue = !('progressDetail' in message) || response.writableLength < MAX_UNREAD_BYTES;
    if (!response.destroyed && isDue) response.write(`${JSON.stringify(message)}\r\n`);
  };
  try {
    await work(send);
  } catch (error) {
    if (!response.headersSent) throw error;
    const { message } = toRefusal(error).body;
    send({ errorDetail: { message }, error: message });
  }
  if (!response.headersSent) response.writeHead(200, { 'Content-Type': 'application/json' });
  response.end();
}
