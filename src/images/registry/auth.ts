// How a registry wants to be asked: nothing, Basic, or Bearer with a token from its token server
// (the "token authentication" and "OAuth2" specifications of the distribution project).

import { BerthError, type RegistryAuth } from '../../core/index.ts';
import { isLoopback, readBody, type Transport } from './transport.ts';

const MAX_ANSWER_BYTES = 1 << 20;
const CLIENT_ID = 'berth';

export interface Challenge {
  /** Lower case. */
  readonly scheme: string;
  readonly parameters: Readonly<Record<string, string>>;
}

/** Reads WWW-Authenticate: a list of schemes with name="value" parameters. */
export function parseChallenges(header: string): readonly Challenge[] {
  const challenges: { scheme: string; parameters: Record<string, string> }[] = [];
  const token = /([A-Za-z0-9!#$%&'*+.^_`|~-]+)(?:\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s,"]+)))?/g;
  for (const [, name = '', quoted, plain] of header.matchAll(token)) {
    const value = quoted?.replace(/\\(.)/g, '$1') ?? plain;
    if (value === undefined) challenges.push({ scheme: name.toLowerCase(), parameters: {} });
    else {
      const last = challenges.at(-1);
      if (last !== undefined) last.parameters[name.toLowerCase()] = value;
    }
  }
  return challenges;
}

export interface AuthorizerOptions {
  readonly transport: Transport;
  readonly auth: RegistryAuth;
  /** e.g. repository:library/nginx:pull */
  readonly scope: string;
  /** Where the registry is: a token server less protected than it gets no credentials. */
  readonly registry: URL;
}

/** Answers challenges; remembers the answer for all further requests of one pull. */
export class Authorizer {
  readonly #options: AuthorizerOptions;
  #header: string | undefined;

  constructor(options: AuthorizerOptions) {
    this.#options = options;
    const { registryToken } = options.auth;
    if (registryToken) this.#header = `Bearer ${registryToken}`;
  }

  /** The headers that authorize a request, as far as known. */
  get headers(): Readonly<Record<string, string>> {
    return this.#header === undefined ? {} : { authorization: this.#header };
  }

  /** Takes up a challenge; false when there is nothing (more) to answer it with. */
  async answer(challenges: readonly Challenge[], signal?: AbortSignal): Promise<boolean> {
    const before = this.#header;
    const bearer = challenges.find(({ scheme }) => scheme === 'bearer');
    const basic = challenges.find(({ scheme }) => scheme === 'basic');
    if (bearer !== undefined && !this.#options.auth.registryToken)
      this.#header = `Bearer ${await this.#fetchToken(bearer, signal)}`;
    else if (basic !== undefined) this.#header = this.#basic() ?? this.#header;
    return this.#header !== before;
  }

  #basic(): string | undefined {
    const { username, password } = this.#options.auth;
    if (!username) return undefined;
    return `Basic ${Buffer.from(`${username}:${password ?? ''}`).toString('base64')}`;
  }

  async #fetchToken({ parameters }: Challenge, signal: AbortSignal | undefined): Promise<string> {
    const { registry, transport, auth } = this.#options;
    const realm = this.#checkRealm(parameters['realm']);
    const scope = parameters['scope'] ?? this.#options.scope;
    const service = parameters['service'];
    const response = auth.identityToken
      ? await transport.send(realm, refreshRequest(auth.identityToken, scope, service, signal))
      : await transport.send(this.#tokenUrl(realm, scope, service), {
          headers: this.#tokenHeaders(),
          signal,
        });
    const body = await readBody(response, MAX_ANSWER_BYTES);
    if (response.status === 401 || response.status === 403 || response.status === 400)
      throw new BerthError(
        'permission-denied',
        `${registry.host}: its token server ${realm.host} refuses the credentials (HTTP ${response.status})`,
      );
    return parseToken(body, response.status, realm);
  }

  #tokenHeaders(): Record<string, string> {
    const basic = this.#basic();
    return basic === undefined ? {} : { authorization: basic };
  }

  #checkRealm(text: string | undefined): URL {
    const { registry } = this.#options;
    if (text === undefined || !URL.canParse(text))
      throw new BerthError('unavailable', `${registry.host}: names no token server to get a token from`);
    const realm = new URL(text);
    if (realm.protocol !== 'https:' && registry.protocol === 'https:' && !isLoopback(realm.hostname))
      throw new BerthError(
        'unavailable',
        `${registry.host}: its token server ${realm.origin} is unprotected`,
      );
    return realm;
  }

  #tokenUrl(realm: URL, scope: string, service: string | undefined): URL {
    const url = new URL(realm);
    if (service !== undefined) url.searchParams.set('service', service);
    url.searchParams.set('scope', scope);
    const { username } = this.#options.auth;
    if (username) url.searchParams.set('account', username);
    return url;
  }
}

function refreshRequest(
  identityToken: string,
  scope: string,
  service: string | undefined,
  signal: AbortSignal | undefined,
) {
  const form = new URLSearchParams({
    grant_type: 'refresh_token',
    client_id: CLIENT_ID,
    refresh_token: identityToken,
    scope,
    ...(service === undefined ? {} : { service }),
  });
  return {
    method: 'POST' as const,
    headers: { 'content-type': 'application/x-www-form-urlencoded' },
    body: form.toString(),
    signal,
  };
}

function parseToken(body: Buffer, status: number, realm: URL): string {
  const answer = parseObject(body);
  const token = answer['token'] ?? answer['access_token'];
  if (typeof token !== 'string' || token === '')
    throw new BerthError(
      'unavailable',
      `token server ${realm.host}: no token in its answer (HTTP ${status})`,
    );
  return token;
}

/** The fields of a JSON object; none when it is something else. */
function parseObject(body: Buffer): Readonly<Record<string, unknown>> {
  try {
    const value: unknown = JSON.parse(body.toString('utf8'));
    return typeof value === 'object' && value !== null ? { ...value } : {};
  } catch {
    return {};
  }
}
