// Detach keys: a sequence of keys that lets go of the workload instead of reaching it.

import { CliError } from '../errors.ts';

export const DEFAULT_DETACH_KEYS = 'ctrl-p,ctrl-q';

/** `ctrl-p,ctrl-q` or `ctrl-a,d` as the bytes a terminal sends. */
export function parseDetachKeys(text: string): Buffer {
  const bytes = text.split(',').map((key) => {
    const [, letter] = /^ctrl-([a-z@[\]\\^_])$/i.exec(key) ?? [];
    if (letter !== undefined) return letter.toUpperCase().charCodeAt(0) & 0x1f;
    if (key.length === 1) return key.charCodeAt(0);
    throw new CliError(
      `invalid detach keys ${JSON.stringify(text)}: expected keys such as a or ctrl-p, with commas`,
      125,
    );
  });
  return Buffer.from(bytes);
}

/** Looks for the sequence in typed input; what may be its beginning is held back until it is not. */
export class DetachFilter {
  readonly #keys: Buffer;
  #matched = 0;

  constructor(keys: Buffer) {
    this.#keys = keys;
  }

  /** The input to pass on, and whether the sequence was completed. */
  push(chunk: Buffer): { readonly pass: Buffer; readonly detached: boolean } {
    const pass: number[] = [];
    for (const byte of chunk) {
      if (byte !== this.#keys[this.#matched]) {
        pass.push(...this.#keys.subarray(0, this.#matched));
        this.#matched = 0;
      }
      if (byte !== this.#keys[this.#matched]) pass.push(byte);
      else if (++this.#matched === this.#keys.length) return { pass: Buffer.from(pass), detached: true };
    }
    return { pass: Buffer.from(pass), detached: false };
  }
}
