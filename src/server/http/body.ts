// Request bodies: JSON within limits, or a stream.

import type { Readable } from 'node:stream';
import { BerthError } from '../../core/index.ts';
import type { Call } from './call.ts';
import { HttpError } from './errors.ts';

export const MAX_JSON_BYTES = 4 << 20;
/** A client that sends JSON more slowly is not waited for. */
const MAX_JSON_MS = 60_000;

/** The body as JSON; `absent` is what no body at all means (by default an error). */
export async function readJson(call: Call, absent?: unknown): Promise<unknown> {
  const text = (await inTime(call, call.upgrade ? readUpgradeBody(call) : readBody(call))).toString('utf8');
  if (text.trim() === '') {
    if (absent !== undefined) return absent;
    throw new BerthError('invalid-argument', 'the request body is empty: a JSON object is needed');
  }
  const type = call.request.headers['content-type'] ?? '';
  if (!/^application\/json\s*(;|$)/i.test(type))
    throw new BerthError('invalid-argument', `Content-Type specified (${type}) must be 'application/json'`);
  try {
    return JSON.parse(text) as unknown;
  } catch (error) {
    throw new BerthError('invalid-argument', `the request body is not JSON: ${(error as Error).message}`);
  }
}

/** Takes in a body that the request has no use for, before its connection is taken over. */
export async function discardBody(call: Call): Promise<void> {
  if (call.upgrade) await inTime(call, readUpgradeBody(call));
  else if (call.request.headers['transfer-encoding'] === undefined) await inTime(call, readBody(call));
}

async function inTime(call: Call, body: Promise<Buffer>): Promise<Buffer> {
  const timer = setTimeout(() => call.socket.destroy(), MAX_JSON_MS).unref();
  try {
    return await body;
  } finally {
    clearTimeout(timer);
  }
}

async function readBody(call: Call): Promise<Buffer> {
  checkLength(Number(call.request.headers['content-length'] ?? 0));
  const chunks: Buffer[] = [];
  let total = 0;
  const body = call.request.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>;
  for await (const chunk of body) {
    total += chunk.length;
    checkLength(total);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks, total);
}

function checkLength(bytes: number): void {
  if (bytes > MAX_JSON_BYTES)
    throw new HttpError(413, `the request body is larger than the ${MAX_JSON_BYTES} bytes allowed for JSON`);
}

/** The HTTP parser lets go of an upgrade request at its head: the body is still on the socket. */
async function readUpgradeBody(call: Call): Promise<Buffer> {
  const { headers } = call.request;
  if (headers['transfer-encoding'] !== undefined)
    throw new HttpError(411, 'a request that upgrades the connection needs a Content-Length, not chunks');
  const length = Number(headers['content-length'] ?? 0);
  checkLength(length);
  while (call.pending.length < length) {
    const chunk = await nextChunk(call.socket);
    call.pending = Buffer.concat([call.pending, chunk]);
  }
  const body = call.pending.subarray(0, length);
  call.pending = call.pending.subarray(length);
  return body;
}

function nextChunk(socket: Readable): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const settle = (action: () => void) => {
      socket.off('data', onData).off('end', onEnd).off('close', onEnd);
      socket.pause();
      action();
    };
    const onData = (chunk: Buffer) => settle(() => resolve(chunk));
    const onEnd = () => settle(() => reject(new BerthError('cancelled', 'the client went away')));
    socket.on('data', onData).on('end', onEnd).on('close', onEnd);
  });
}
