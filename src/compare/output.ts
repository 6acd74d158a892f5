// Reads a process's output as it comes, with the time of each line.

import type { ProcessIo } from '../core/index.ts';
import { FRAME, FrameDecoder } from '../formats/frames.ts';

export interface TimedLine {
  readonly text: string;
  /** performance.now() when its last byte arrived. */
  readonly at: number;
}

/** Follows the output of a process without a tty. Reading starts at once. */
export class OutputReader {
  readonly lines: TimedLine[] = [];
  /** Of the first byte on either stream; stays undefined if there was none. */
  firstByteAt: number | undefined;
  /** Resolves at the first byte, or to undefined at the end of an output without any. */
  readonly firstByte: Promise<number | undefined>;
  /** Resolves when the output ended. */
  readonly ended: Promise<void>;
  #errors = '';
  #rest = '';

  constructor(io: ProcessIo) {
    const first = Promise.withResolvers<number | undefined>();
    this.firstByte = first.promise;
    this.ended = this.#read(io, first.resolve).finally(() => first.resolve(this.firstByteAt));
    this.ended.catch(() => {});
  }

  async #read(io: ProcessIo, onFirst: (at: number) => void): Promise<void> {
    const decoder = new FrameDecoder();
    for await (const chunk of io.output as AsyncIterable<Buffer>) {
      const at = performance.now();
      for (const frame of decoder.push(chunk)) {
        if (frame.payload.length === 0) continue;
        this.firstByteAt ??= at;
        onFirst(this.firstByteAt);
        if (frame.type === FRAME.stdout) this.#cut(frame.payload.toString(), at);
        else this.#errors += frame.payload.toString();
      }
    }
    if (this.#rest !== '') this.#cut('\n', performance.now());
  }

  #cut(text: string, at: number): void {
    const parts = (this.#rest + text).split('\n');
    this.#rest = parts.pop() ?? '';
    for (const part of parts) this.lines.push({ text: part, at });
  }

  /** What was written to stderr. */
  get errors(): string {
    return this.#errors;
  }
}

/** Values of `key=value` lines, each key with all its values in order. */
export function parseAnswers(
  lines: readonly { readonly text: string }[],
): ReadonlyMap<string, readonly string[]> {
  const answers = new Map<string, string[]>();
  for (const { text } of lines) {
    const cut = text.indexOf('=');
    if (cut <= 0) continue;
    const key = text.slice(0, cut);
    answers.set(key, [...(answers.get(key) ?? []), text.slice(cut + 1)]);
  }
  return answers;
}
