// HTTP/1.1 as a client needs it for the Docker API: one request at a time on a link, bodies streamed both ways,
// and links that become raw byte streams after an upgrade. It knows nothing of Docker.

import { BerthSdkError } from './errors.ts';
import type { Link } from './link.ts';

export interface RequestHead {
  readonly method: string;
  /** Path with its query. */
  readonly target: string;
  readonly headers: Readonly<Record<string, string>>;
}

export interface ResponseHead {
  readonly status: number;
  /** Names in lower case; the last value wins. */
  readonly headers: Readonly<Record<string, string>>;
}

const MAX_HEAD_BYTES = 256 * 1024;
const HEAD_END = '\r\n\r\n';

/** The head as bytes. Throws when a part would break the framing. */
export function encodeHead(request: RequestHead): string {
  const lines = [`${request.method} ${request.target} HTTP/1.1`];
  for (const [name, value] of Object.entries(request.headers)) lines.push(`${name}: ${value}`);
  const bad = lines.find((line) => /[\r\n\0]/.test(line));
  if (bad !== undefined) {
    throw new BerthSdkError('invalid-argument', `line breaks are not allowed in ${JSON.stringify(bad)}`);
  }
  return `${lines.join('\r\n')}${HEAD_END}`;
}

/** Reads answers from a link; keeps what came beyond the last one. */
export class HttpReader {
  readonly #link: Link;
  #rest: Buffer = Buffer.alloc(0);

  constructor(link: Link) {
    this.#link = link;
  }

  /** The next final head; interim ones (100-199 but for 101) are passed over. */
  async head(): Promise<ResponseHead> {
    for (;;) {
      const cut = this.#rest.indexOf(HEAD_END);
      if (cut >= 0) {
        const head = parseHead(this.#rest.toString('latin1', 0, cut));
        this.#rest = this.#rest.subarray(cut + HEAD_END.length);
        if (head.status >= 200 || head.status === 101) return head;
        continue;
      }
      if (this.#rest.length > MAX_HEAD_BYTES) throw broken('the head of its answer is too long');
      if (!(await this.#more())) throw broken('it closed the connection before answering');
    }
  }

  /** The body that belongs to `head`, chunk by chunk. */
  body(head: ResponseHead, method: string): AsyncGenerator<Buffer, void> {
    if (method === 'HEAD' || head.status === 204 || head.status === 304) return this.#sized(0);
    if (head.headers['transfer-encoding']?.toLowerCase() === 'chunked') return this.#chunked();
    const length = head.headers['content-length'];
    return length === undefined ? this.raw() : this.#sized(Number(length));
  }

  /** Everything up to the end of the connection. */
  async *raw(): AsyncGenerator<Buffer, void> {
    for (;;) {
      if (this.#rest.length > 0) yield this.#take(this.#rest.length);
      if (!(await this.#more())) return;
    }
  }

  async *#sized(length: number): AsyncGenerator<Buffer, void> {
    let left = length;
    while (left > 0) {
      if (this.#rest.length === 0 && !(await this.#more())) throw broken('its answer is cut short');
      const chunk = this.#take(Math.min(left, this.#rest.length));
      left -= chunk.length;
      yield chunk;
    }
  }

  async *#chunked(): AsyncGenerator<Buffer, void> {
    for (;;) {
      const size = Number.parseInt(await this.#line(), 16);
      if (!(size >= 0)) throw broken('its answer has a malformed chunk');
      if (size === 0) break;
      yield* this.#sized(size);
      await this.#line();
    }
    while ((await this.#line()) !== '') {
      // Trailers carry nothing for us.
    }
  }

  async #line(): Promise<string> {
    for (;;) {
      const cut = this.#rest.indexOf('\r\n');
      if (cut >= 0) return this.#take(cut + 2).toString('latin1', 0, cut);
      if (this.#rest.length > MAX_HEAD_BYTES || !(await this.#more()))
        throw broken('its answer is cut short');
    }
  }

  #take(length: number): Buffer {
    const chunk = this.#rest.subarray(0, length);
    this.#rest = this.#rest.subarray(length);
    return chunk;
  }

  async #more(): Promise<boolean> {
    const chunk = await this.#link.read();
    if (chunk === undefined) return false;
    this.#rest = this.#rest.length === 0 ? chunk : Buffer.concat([this.#rest, chunk]);
    return true;
  }
}

function parseHead(text: string): ResponseHead {
  const lines = text.split('\r\n');
  const status = /^HTTP\/1\.[01] (\d{3})/.exec(lines[0] ?? '')?.[1];
  if (status === undefined) throw broken('its answer is not HTTP');
  const headers: Record<string, string> = {};
  for (const line of lines.slice(1)) {
    const cut = line.indexOf(':');
    if (cut > 0) headers[line.slice(0, cut).toLowerCase()] = line.slice(cut + 1).trim();
  }
  return { status: Number(status), headers };
}

function broken(reason: string): BerthSdkError {
  return new BerthSdkError('unavailable', `the daemon could not be understood: ${reason}`);
}
