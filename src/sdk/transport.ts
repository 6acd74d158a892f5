// Requests to one daemon: connections kept for reuse, errors turned into BerthSdkError, abort signals obeyed.

import type { Address } from './address.ts';
import {
  type AbortGuard,
  Answer,
  type CallOptions,
  cancelled,
  closeOnAbort,
  encodeQuery,
  guarded,
  type RawStream,
} from './call.ts';
import { BerthSdkError, errorOfAnswer } from './errors.ts';
import { encodeHead, HttpReader, type ResponseHead } from './http.ts';
import type { Dial, Link } from './link.ts';
import { sendChunks, type UploadProgress, WriteFailed, writeOrFail } from './upload.ts';

interface Idle {
  readonly link: Link;
  readonly reader: HttpReader;
  readonly sinceMs: number;
}

const UPGRADE = { Connection: 'Upgrade', Upgrade: 'tcp' };

/** Shorter than any server's own limit, so that a reused connection is not just being closed. */
const IDLE_LIMIT_MS = 2000;

export class Transport {
  readonly address: Address;
  readonly #dial: Dial;
  readonly #idle: Idle[] = [];
  #closed = false;

  constructor(address: Address, dial: Dial) {
    this.address = address;
    this.#dial = dial;
  }

  /** Sends a request and resolves when its head has come. Fails with BerthSdkError for a status of 400 or more. */
  async call(method: string, path: string, options: CallOptions = {}): Promise<Answer> {
    const { link, reader, aborted } = await this.#open(options.signal);
    try {
      const progress: UploadProgress = { sent: false, refused: false };
      const upload = this.#send(link, method, path, options, {}, progress);
      // A daemon that refuses early stops reading: its answer, not our failure to write, is what is to be told.
      upload.catch((error) => {
        if (!(error instanceof WriteFailed)) link.close(error as Error);
      });
      const head = await reader.head();
      progress.refused = head.status >= 400;
      const answer = new Answer(head, this.#body({ link, reader, aborted, head, method, upload, progress }));
      if (head.status < 400) return answer;
      const reason = head.headers['x-berth-error'];
      throw errorOfAnswer(
        head.status,
        reason === undefined ? await answer.text() : JSON.stringify({ message: decodeURI(reason) }),
      );
    } catch (error) {
      if (!(error instanceof BerthSdkError) || error.status === undefined) link.close();
      aborted[Symbol.dispose]();
      throw aborted.reason() ?? error;
    }
  }

  /** A request whose JSON answer is wanted whole. */
  async json<T>(method: string, path: string, options?: CallOptions): Promise<T> {
    return (await this.call(method, path, options)).json<T>();
  }

  /** A request whose answer has no body that matters. Resolves to its status. */
  async send(method: string, path: string, options?: CallOptions): Promise<number> {
    const answer = await this.call(method, path, options);
    await answer.drain();
    return answer.status;
  }

  /** A request that turns its connection into a raw stream. */
  async upgrade(method: string, path: string, options: CallOptions = {}): Promise<RawStream> {
    const { link, reader, aborted } = await this.#open(options.signal);
    try {
      await this.#send(link, method, path, options, UPGRADE, {
        sent: false,
        refused: false,
      });
      const head = await reader.head();
      if (head.status >= 400) {
        const chunks: Buffer[] = [];
        for await (const chunk of reader.body(head, method)) chunks.push(chunk);
        throw errorOfAnswer(head.status, Buffer.concat(chunks).toString());
      }
      return {
        headers: head.headers,
        output: guarded(reader.raw(), link, aborted),
        write: (data) => link.write(data),
        end: () => link.end(),
        close: () => link.close(),
      };
    } catch (error) {
      link.close();
      aborted[Symbol.dispose]();
      throw aborted.reason() ?? error;
    }
  }

  /** Opens a connection ahead of its use. Failure is left to the request that needs it. */
  async prepare(): Promise<void> {
    const link = await this.#dial(this.address);
    this.#release(link, new HttpReader(link));
  }

  close(): void {
    this.#closed = true;
    for (const { link } of this.#idle.splice(0)) link.close();
  }

  async #open(signal: AbortSignal | undefined) {
    if (signal?.aborted) throw cancelled(signal);
    const { link, reader } = this.#reuse() ?? (await this.#fresh());
    return { link, reader, aborted: closeOnAbort(link, signal) };
  }

  async #fresh(): Promise<{ link: Link; reader: HttpReader }> {
    const link = await this.#dial(this.address);
    return { link, reader: new HttpReader(link) };
  }

  #reuse(): Idle | undefined {
    for (;;) {
      const idle = this.#idle.pop();
      if (idle === undefined) return undefined;
      if (idle.link.open && Date.now() - idle.sinceMs < IDLE_LIMIT_MS) {
        idle.link.hold(true);
        return idle;
      }
      idle.link.close();
    }
  }

  #release(link: Link, reader: HttpReader): void {
    if (this.#closed || !link.open) {
      link.close();
      return;
    }
    link.hold(false);
    this.#idle.push({ link, reader, sinceMs: Date.now() });
  }

  async #send(
    link: Link,
    method: string,
    path: string,
    options: CallOptions,
    extra: Readonly<Record<string, string>>,
    progress: UploadProgress,
  ): Promise<void> {
    const json = options.json === undefined ? undefined : Buffer.from(JSON.stringify(options.json));
    const bodyHeaders: Record<string, string> =
      options.stream !== undefined
        ? { 'Transfer-Encoding': 'chunked', 'Content-Type': 'application/x-tar' }
        : json !== undefined
          ? { 'Content-Type': 'application/json', 'Content-Length': String(json.length) }
          : method === 'POST' || method === 'PUT'
            ? { 'Content-Length': '0' }
            : {};
    const headers = { Host: 'berth', ...extra, ...bodyHeaders, ...options.headers };
    const head = Buffer.from(encodeHead({ method, target: path + encodeQuery(options.query), headers }));
    await writeOrFail(link, json === undefined ? head : Buffer.concat([head, json]));
    if (options.stream !== undefined) await sendChunks(link, options.stream, progress);
    progress.sent = true;
  }

  async *#body(part: {
    link: Link;
    reader: HttpReader;
    aborted: AbortGuard;
    head: ResponseHead;
    method: string;
    upload: Promise<void>;
    progress: UploadProgress;
  }): AsyncGenerator<Buffer, void> {
    const { link, reader, head, upload } = part;
    let reusable = false;
    try {
      yield* guarded(reader.body(head, part.method), undefined, part.aborted);
      // After a refusal the rest of the upload is of no use to anyone.
      if (head.status < 400) await upload;
      reusable =
        part.progress.sent && head.headers['connection']?.toLowerCase() !== 'close' && !untilClose(head);
    } finally {
      if (reusable) this.#release(link, reader);
      else link.close();
    }
  }
}

/** Whether the end of this answer's body is the end of the connection. */
function untilClose(head: ResponseHead): boolean {
  const framed = 'content-length' in head.headers || 'transfer-encoding' in head.headers;
  return !framed && head.status !== 204 && head.status !== 304;
}
