// The HTTP server: Docker's headers and version negotiation around the router.

import { createServer, type IncomingMessage, type Server, ServerResponse } from 'node:http';
import type { Duplex } from 'node:stream';
import { API_VERSION, refuseVersion } from '../../wire/index.ts';
import { Call } from './call.ts';
import { type ConnectionLimits, limitConnections } from './connections.ts';
import { HttpError } from './errors.ts';
import { sendError } from './respond.ts';
import type { Router } from './router.ts';

/** Connections that a client keeps for its next request are not cut sooner than its own patience ends. */
const KEEP_ALIVE_MS = 120_000;
/** Longer than any daemon runs: Node's check of slow clients would wake an idle daemon. */
const NEVER_MS = 2 ** 31 - 1;

export interface ServerIdentity {
  readonly version: string;
}

export interface HttpServerOptions extends ServerIdentity {
  readonly router: Router;
  readonly log: (line: string) => void;
  readonly limits?: ConnectionLimits;
}

/** A client holds two or three connections for each workload that it is joined to. */
const LIMITS: ConnectionLimits = { mostConnections: 4096, headMs: KEEP_ALIVE_MS + 60_000 };

/** A server that is not listening yet. */
export function createHttpServer({ router, version, log, limits = LIMITS }: HttpServerOptions): Server {
  const serve = (request: IncomingMessage, response: ServerResponse, socket: Duplex, head?: Buffer) => {
    setHeaders(response, version);
    const call = openCall(request, response, socket, head);
    answer(call, router).catch((error: unknown) => {
      if (isWorthLogging(error, response.headersSent))
        log(`${request.method} ${request.url}: ${describe(error)}`);
      sendError(call, error);
    });
  };
  const server = createServer({
    keepAliveTimeout: KEEP_ALIVE_MS,
    headersTimeout: 0,
    requestTimeout: 0,
    connectionsCheckingInterval: NEVER_MS,
    // Only streams are taken over; whatever else asks for an upgrade is answered as if it had not.
    shouldUpgradeCallback: (request) => hijacks(router, request),
  });
  limitConnections(server, limits);
  server.on('request', (request, response) => serve(request, response, request.socket));
  server.on('upgrade', (request, socket, head) => {
    const response = new ServerResponse(request);
    response.shouldKeepAlive = false;
    response.assignSocket(request.socket);
    response.once('finish', () => socket.end());
    socket.on('error', () => socket.destroy());
    serve(request, response, socket, head);
  });
  return server;
}

function hijacks(router: Router, request: IncomingMessage): boolean {
  const { path } = splitTarget(request.url ?? '/');
  return router.find(request.method ?? '', path)?.route.hijacks === true;
}

function setHeaders(response: ServerResponse, version: string): void {
  response.setHeader('Api-Version', API_VERSION);
  response.setHeader('Docker-Experimental', 'false');
  response.setHeader('Ostype', 'linux');
  response.setHeader('Server', `Berth/${version} (linux)`);
}

interface Target {
  readonly path: string;
  readonly query: URLSearchParams;
  /** Absent: none was named. */
  readonly version?: string;
}

function splitTarget(url: string): Target {
  const cut = url.indexOf('?');
  const whole = cut < 0 ? url : url.slice(0, cut);
  const query = new URLSearchParams(cut < 0 ? '' : url.slice(cut + 1));
  const match = /^\/v(\d+\.\d+)(\/.*)$/.exec(whole);
  return match === null
    ? { path: whole, query }
    : { path: match[2] ?? '/', query, version: match[1] ?? API_VERSION };
}

function openCall(request: IncomingMessage, response: ServerResponse, socket: Duplex, head?: Buffer): Call {
  const { path, query, version = API_VERSION } = splitTarget(request.url ?? '/');
  return new Call({
    request,
    response,
    socket,
    version,
    path,
    query,
    ...(head === undefined ? {} : { head }),
  });
}

async function answer(call: Call, router: Router): Promise<void> {
  refuseForeignPages(call.request);
  const refusal = refuseVersion(call.version);
  if (refusal !== undefined) throw new HttpError(400, refusal);
  await router.dispatch(call);
}

/**
 * Over TCP a web page in the user's browser can reach us too: whatever names another host, or says which page it
 * comes from, is refused.
 */
function refuseForeignPages(request: IncomingMessage): void {
  if (request.socket.remoteAddress === undefined) return;
  const host = (request.headers.host ?? '').replace(/:\d+$/, '');
  const local = ['localhost', '[::1]'].includes(host) || /^127(\.\d+){3}$/.test(host);
  if (!local) throw new HttpError(403, `the Host header names ${host || 'nothing'}, not this machine`);
  if (request.headers.origin !== undefined)
    throw new HttpError(403, `requests of web pages (${request.headers.origin}) are refused`);
}

/** An answer that has begun can tell the client no more than that it is cut off. */
function isWorthLogging(error: unknown, hasBegun: boolean): boolean {
  const { name, code } = error as { name?: string; code?: string };
  if (name === 'BerthError') return code === 'internal' || (hasBegun && code !== 'cancelled');
  return name !== 'HttpError' && name !== 'FieldError' && name !== 'AbortError';
}

function describe(error: unknown): string {
  return error instanceof Error ? (error.stack ?? error.message) : String(error);
}
