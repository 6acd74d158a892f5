// A registry, as the OCI distribution specification has it: the part that pulling needs.

import { setTimeout as delay } from 'node:timers/promises';
import { BerthError, errorMessage, isBerthError, type RegistryAuth } from '../../core/index.ts';
import { digestOf } from '../digest.ts';
import { MEDIA_TYPES } from '../manifest.ts';
import { familiarName, formatFamiliar, type Reference } from '../reference.ts';
import { cancelled } from '../shared-task.ts';
import { Authorizer, parseChallenges } from './auth.ts';
import { openSecureContext } from './certificates.ts';
import { connectionError, isLoopback, NotTlsError, type Response, readBody, Transport } from './transport.ts';

const MAX_MANIFEST_BYTES = 4 << 20;
const MAX_ERROR_BYTES = 64 << 10;
/** Failures in a row without a byte in between. */
const MAX_ATTEMPTS = 5;
const FIRST_DELAY_MS = 200;
const MAX_DELAY_MS = 10_000;
const ACCEPT = [
  MEDIA_TYPES.ociIndex,
  MEDIA_TYPES.ociManifest,
  MEDIA_TYPES.dockerList,
  MEDIA_TYPES.dockerManifest,
].join(', ');

export interface RegistryOptions {
  readonly auth?: RegistryAuth | undefined;
  readonly certsFolders: readonly string[];
  readonly signal?: AbortSignal | undefined;
}

export interface FetchedManifest {
  readonly data: Buffer;
  readonly digest: string;
}

/** One repository in one registry, with the authorization to pull from it. */
export class RegistryClient implements Disposable {
  readonly #reference: Reference;
  readonly #transport: Transport;
  readonly #base: URL;
  readonly #authorizer: Authorizer;
  /** Blobs being read. One may be read for another pull, which outlives ours. */
  #reading = 0;
  #disposed = false;

  private constructor(reference: Reference, transport: Transport, base: URL, authorizer: Authorizer) {
    this.#reference = reference;
    this.#transport = transport;
    this.#base = base;
    this.#authorizer = authorizer;
  }

  /** Finds out how to talk to the registry. Fails with `unavailable` or `permission-denied`. */
  static async open(reference: Reference, options: RegistryOptions): Promise<RegistryClient> {
    const host = reference.domain === 'docker.io' ? 'registry-1.docker.io' : reference.domain;
    const transport = new Transport(await openSecureContext(reference.domain, options.certsFolders));
    try {
      const { base, response } = await ping(transport, host, options.signal);
      const authorizer = new Authorizer({
        transport,
        auth: options.auth ?? {},
        scope: `repository:${reference.path}:pull`,
        registry: base,
      });
      const client = new RegistryClient(reference, transport, base, authorizer);
      await client.#greet(response, options.signal);
      return client;
    } catch (error) {
      transport[Symbol.dispose]();
      throw error;
    }
  }

  /** Closes the connections once no blob is being read. */
  [Symbol.dispose](): void {
    this.#disposed = true;
    if (this.#reading === 0) this.#transport[Symbol.dispose]();
  }

  /** The manifest or index behind a tag or digest, checked against the digest if that is what was asked for. */
  async manifest(tagOrDigest: string, signal?: AbortSignal): Promise<FetchedManifest> {
    const response = await this.#get(`manifests/${tagOrDigest}`, { accept: ACCEPT }, signal);
    if (response.status !== 200) throw await this.#refusal(response, tagOrDigest);
    const data = await readBody(response, MAX_MANIFEST_BYTES);
    const digest = digestOf(data);
    const claimed = tagOrDigest.startsWith('sha256:')
      ? tagOrDigest
      : response.headers['docker-content-digest'];
    if (typeof claimed === 'string' && claimed.startsWith('sha256:') && claimed !== digest)
      throw new BerthError(
        'invalid-argument',
        `manifest of ${formatFamiliar(this.#reference)}: wrong digest: expected ${claimed}, got ${digest}`,
      );
    return { data, digest };
  }

  /** The content of a blob, not yet checked but never longer than `size`. A dropped connection is taken up where it broke. */
  async *blob(digest: string, size: number, signal?: AbortSignal): AsyncGenerator<Buffer> {
    this.#reading += 1;
    try {
      yield* this.#blobWithRetries(digest, size, signal);
    } finally {
      this.#reading -= 1;
      if (this.#disposed) this[Symbol.dispose]();
    }
  }

  async *#blobWithRetries(
    digest: string,
    size: number,
    signal: AbortSignal | undefined,
  ): AsyncGenerator<Buffer> {
    let received = 0;
    let failures = 0;
    while (received < size) {
      const before = received;
      try {
        for await (const chunk of this.#blobFrom(digest, received, signal)) {
          received += chunk.length;
          if (received > size)
            throw new BerthError('invalid-argument', `blob ${digest}: more than the ${size} bytes announced`);
          yield chunk;
        }
        if (received < size) throw new Error(`ended after ${received} of ${size} bytes`);
      } catch (error) {
        if (signal?.aborted) throw cancelled();
        if (isBerthError(error) && error.code !== 'unavailable') throw error;
        failures = received > before ? 1 : failures + 1;
        if (failures >= MAX_ATTEMPTS) throw connectionError(error, this.#base);
        await pause(failures, undefined, signal);
      }
    }
  }

  async *#blobFrom(digest: string, offset: number, signal: AbortSignal | undefined): AsyncGenerator<Buffer> {
    const range: Record<string, string> = offset === 0 ? {} : { range: `bytes=${offset}-` };
    const response = await this.#get(`blobs/${digest}`, range, signal);
    if (response.status !== 200 && response.status !== 206) throw await this.#refusal(response, digest);
    // A server that knows no ranges sends all of it again.
    let skip = response.status === 206 ? 0 : offset;
    const start = /^bytes (\d+)-/.exec(response.headers['content-range'] ?? '')?.[1];
    if (response.status === 206 && Number(start) !== offset) {
      response.body.destroy();
      throw new BerthError('unavailable', `${response.url.host}: answers with another range than asked for`);
    }
    for await (const chunk of response.body as AsyncIterable<Buffer>) {
      const rest = chunk.subarray(skip);
      skip = Math.max(0, skip - chunk.length);
      if (rest.length > 0) yield rest;
    }
  }

  async #greet(response: Response, signal: AbortSignal | undefined): Promise<void> {
    response.body.resume();
    if (response.status === 200) return;
    if (response.status === 401) {
      await this.#answer(response, signal);
      return;
    }
    throw new BerthError(
      'unavailable',
      `${this.#base.host} is not a registry: HTTP ${response.status} at ${this.#base.pathname}`,
    );
  }

  async #answer(response: Response, signal: AbortSignal | undefined): Promise<boolean> {
    try {
      return await this.#authorizer.answer(
        parseChallenges(response.headers['www-authenticate'] ?? ''),
        signal,
      );
    } catch (error) {
      if (isBerthError(error, 'permission-denied')) throw this.#denied(error.message);
      throw error;
    }
  }

  /** GET below the repository; answers a challenge once, and waits out what is temporary. */
  async #get(
    path: string,
    headers: Readonly<Record<string, string>>,
    signal: AbortSignal | undefined,
  ): Promise<Response> {
    const url = new URL(`${this.#reference.path}/${path}`, this.#base);
    let challenged = false;
    for (let attempt = 1; ; attempt++) {
      const response = await this.#transport.send(url, {
        headers: { ...headers, ...this.#authorizer.headers },
        signal,
      });
      const busy = response.status === 429 || response.status >= 500;
      if (response.status === 401 && !challenged) {
        challenged = true;
        response.body.resume();
        if (!(await this.#answer(response, signal)))
          throw this.#denied('unauthorized: authentication required');
      } else if (busy && attempt < MAX_ATTEMPTS) {
        response.body.resume();
        await pause(attempt, response.headers['retry-after'], signal);
      } else return response;
    }
  }

  #denied(why: string): BerthError {
    const name = familiarName(this.#reference);
    return new BerthError(
      'permission-denied',
      `pull access denied for ${name}, repository does not exist or may require 'berth login' (or 'docker login'): ${why}`,
    );
  }

  async #refusal(response: Response, what: string): Promise<BerthError> {
    const text = await readBody(response, MAX_ERROR_BYTES).catch(() => Buffer.alloc(0));
    const why = registryError(text) ?? `HTTP ${response.status}`;
    if (response.status === 401 || response.status === 403) return this.#denied(why);
    const name = what.startsWith('sha256:')
      ? `${familiarName(this.#reference)}@${what}`
      : formatFamiliar(this.#reference);
    if (response.status === 404) return new BerthError('not-found', `manifest for ${name} not found: ${why}`);
    return new BerthError('unavailable', `registry ${this.#base.host}: ${name}: ${why}`);
  }
}

/** `code: message` of the first error in a registry's answer. */
function registryError(body: Buffer): string | undefined {
  try {
    const answer = JSON.parse(body.toString('utf8')) as {
      errors?: readonly { code?: unknown; message?: unknown }[];
    } | null;
    const first = answer?.errors?.[0];
    if (first === undefined) return undefined;
    return [first.code, first.message]
      .filter((part) => typeof part === 'string')
      .map((part, index) => (index === 0 ? part.toLowerCase().replaceAll('_', ' ') : part))
      .join(': ');
  } catch {
    return undefined;
  }
}

async function ping(
  transport: Transport,
  host: string,
  signal: AbortSignal | undefined,
): Promise<{ readonly base: URL; readonly response: Response }> {
  const secure = new URL(`https://${host}/v2/`);
  try {
    return { base: secure, response: await transport.send(secure, { signal }) };
  } catch (error) {
    // Docker's rule: a registry on this machine may do without TLS.
    if (!(error instanceof NotTlsError) || !isLoopback(secure.hostname)) throw error;
    const plain = new URL(`http://${host}/v2/`);
    return { base: plain, response: await transport.send(plain, { signal }) };
  }
}

async function pause(
  attempt: number,
  retryAfter: string | undefined,
  signal: AbortSignal | undefined,
): Promise<void> {
  const asked = /^\d+$/.test(retryAfter ?? '') ? Number(retryAfter) * 1000 : 0;
  const ms = Math.min(Math.max(asked, FIRST_DELAY_MS * 2 ** (attempt - 1)), MAX_DELAY_MS);
  try {
    await delay(ms, undefined, signal === undefined ? {} : { signal });
  } catch (error) {
    if (signal?.aborted) throw cancelled();
    throw new BerthError('internal', errorMessage(error), { cause: error });
  }
}
