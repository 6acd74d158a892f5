// HTTP to registries: connections kept alive, redirects without leaking credentials, errors in the words of users.

import { type IncomingMessage, Agent as PlainAgent, request as plainRequest } from 'node:http';
import { Agent as SecureAgent, request as secureRequest } from 'node:https';
import type { SecureContext } from 'node:tls';
import { BerthError, errorMessage, isBerthError } from '../../core/index.ts';
import { cancelled } from '../shared-task.ts';

const MAX_REDIRECTS = 5;
const IDLE_TIMEOUT_MS = 60_000;
const USER_AGENT = 'berth/0.1 (+OCI distribution client)';

export interface Request {
  readonly method?: 'GET' | 'POST';
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
  readonly signal?: AbortSignal | undefined;
}

export interface Response {
  readonly status: number;
  readonly headers: IncomingMessage['headers'];
  readonly url: URL;
  /** Must be read to its end or destroyed. */
  readonly body: IncomingMessage;
}

/** Whether the host is this machine, where no one listens on the wire. */
export function isLoopback(hostname: string): boolean {
  return /^(localhost|127(\.\d{1,3}){3}|\[::1\]|::1)$/.test(hostname);
}

export class Transport implements Disposable {
  readonly #plain = new PlainAgent({ keepAlive: true, maxSockets: 8 });
  readonly #secure: SecureAgent;

  constructor(secureContext: SecureContext) {
    this.#secure = new SecureAgent({ keepAlive: true, maxSockets: 8, secureContext });
  }

  /**
   * Sends a request and follows redirects of a GET. `Authorization` goes to the first host only, and never over a
   * connection that is less protected. Fails with `unavailable` when there is no answer.
   */
  async send(url: URL, request: Request): Promise<Response> {
    let headers = { 'user-agent': USER_AGENT, ...request.headers };
    let at = url;
    for (let hops = 0; hops <= MAX_REDIRECTS; hops++) {
      const response = await this.#once(at, { ...request, headers });
      const location = response.headers.location;
      const redirects = [301, 302, 303, 307, 308].includes(response.status) && location !== undefined;
      if (!redirects || request.method === 'POST') return response;
      response.body.destroy();
      const next = new URL(location, at);
      if (next.protocol === 'http:' && at.protocol === 'https:')
        throw new BerthError(
          'unavailable',
          `${at.host} redirects to an unprotected connection (${next.origin})`,
        );
      if (next.host !== url.host) {
        const { authorization: _, ...open } = headers as Record<string, string>;
        headers = { 'user-agent': USER_AGENT, ...open };
      }
      at = next;
    }
    throw new BerthError('unavailable', `${url.host} redirects more than ${MAX_REDIRECTS} times`);
  }

  [Symbol.dispose](): void {
    this.#plain.destroy();
    this.#secure.destroy();
  }

  #once(url: URL, { method = 'GET', headers, body, signal }: Request): Promise<Response> {
    if (signal?.aborted) return Promise.reject(cancelled());
    if (url.protocol !== 'http:' && url.protocol !== 'https:')
      return Promise.reject(new BerthError('unavailable', `${url.protocol} is not a protocol of registries`));
    const secure = url.protocol === 'https:';
    return new Promise((resolve, reject) => {
      const options = {
        method,
        headers,
        timeout: IDLE_TIMEOUT_MS,
        ...(signal === undefined ? {} : { signal }),
      };
      const outgoing = secure
        ? secureRequest(url, { ...options, agent: this.#secure })
        : plainRequest(url, { ...options, agent: this.#plain });
      outgoing.once('timeout', () =>
        outgoing.destroy(new Error(`no answer for ${IDLE_TIMEOUT_MS / 1000} s`)),
      );
      outgoing.once('response', (response) =>
        resolve({ status: response.statusCode ?? 0, headers: response.headers, url, body: response }),
      );
      outgoing.on('error', (error) => reject(connectionError(error, url, signal)));
      outgoing.end(body);
    });
  }
}

const CERTIFICATE_CODES = /CERT|SELF_SIGNED|UNABLE_TO_|ERR_TLS_/;

/** Codes of a server that answered a TLS greeting with something else: plain HTTP, most likely. */
const NOT_TLS_CODES = /EPROTO|ERR_SSL_(WRONG_VERSION_NUMBER|PACKET_LENGTH_TOO_LONG|HTTP_REQUEST)/;

export class NotTlsError extends BerthError {
  constructor(host: string, cause: unknown) {
    super(
      'unavailable',
      `${host} does not speak TLS; plain HTTP is allowed for registries on this machine only`,
      {
        cause,
      },
    );
  }
}

/** What went wrong with a connection, naming the host and, where there is one, the remedy. */
export function connectionError(error: unknown, url: URL, signal?: AbortSignal): BerthError {
  if (isBerthError(error)) return error;
  if (signal?.aborted) return cancelled();
  const code = error instanceof Error && 'code' in error ? String(error.code) : '';
  const { host } = url;
  const fail = (text: string) => new BerthError('unavailable', text, { cause: error });
  if (code === 'ENOTFOUND' || code === 'EAI_AGAIN') return fail(`registry ${host}: no such host`);
  if (code === 'ECONNREFUSED') return fail(`registry ${host}: connection refused`);
  if (NOT_TLS_CODES.test(code)) return new NotTlsError(host, error);
  if (CERTIFICATE_CODES.test(code))
    return fail(
      `registry ${host}: its TLS certificate is not trusted (${errorMessage(error).split(';')[0]}); ` +
        `put its authority's certificate into /etc/docker/certs.d/${host}/ca.crt`,
    );
  return fail(`registry ${host}: ${errorMessage(error)}`);
}

/** The whole of a small body. Fails with `unavailable` when it is larger than `maxBytes` or ends early. */
export async function readBody({ body, url }: Response, maxBytes: number): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let total = 0;
  try {
    for await (const chunk of body as AsyncIterable<Buffer>) {
      total += chunk.length;
      if (total > maxBytes)
        throw new BerthError('unavailable', `${url.host}: an answer of more than ${maxBytes} bytes`);
      chunks.push(chunk);
    }
  } catch (error) {
    throw connectionError(error, url);
  }
  return Buffer.concat(chunks);
}
