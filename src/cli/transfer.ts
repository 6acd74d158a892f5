// How far a long transfer has come, on a terminal.

import { decimalSize } from './format/units.ts';
import type { Output } from './output.ts';

/** Often enough for the eye, seldom enough to cost nothing. */
const REDRAW_MS = 100;

/** Passes the bytes on and counts them on one line, which goes when all have passed. Elsewhere it shows nothing. */
export async function* showTransfer<T extends Uint8Array>(
  source: AsyncIterable<T>,
  output: Output,
  what: string,
): AsyncGenerator<T> {
  if (!output.isTerminal) return yield* source;
  let bytes = 0;
  let drawnAtMs = 0;
  try {
    for await (const chunk of source) {
      yield chunk;
      bytes += chunk.length;
      if (Date.now() - drawnAtMs < REDRAW_MS) continue;
      drawnAtMs = Date.now();
      await output.write(`\r\x1b[2K${what}: ${decimalSize(bytes)}`);
    }
  } finally {
    await output.write('\r\x1b[2K');
  }
}
