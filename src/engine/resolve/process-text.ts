// Checks a program's arguments and environment against the kernel's limits before anything is started: the kernel's own
// errors say little. Pure.

import { BerthError } from '../../core/index.ts';

/** The kernel's MAX_ARG_STRLEN, less the byte that ends a text. */
const MAX_TEXT_BYTES = 128 * 1024 - 1;
/** A supervisor is told all of a program in one message of 1 MiB, which has more to say than this. */
const MAX_TOTAL_BYTES = 768 * 1024;

export interface ProcessText {
  readonly args: readonly string[];
  readonly env: readonly string[];
  readonly cwd: string;
  readonly user: string;
}

/** Fails with `invalid-argument` naming what of it cannot be given to any program. */
export function checkProcessText({ args, env, cwd, user }: ProcessText): void {
  const texts = [
    ...args.map((text, index) => ({ text, name: `argument ${index}` })),
    ...env.map((text) => ({ text, name: `environment variable ${text.split('=', 1)[0]?.slice(0, 80)}` })),
    { text: cwd, name: 'the working directory' },
    { text: user, name: 'the user' },
  ];
  let total = 0;
  for (const { text, name } of texts) {
    if (text.includes('\0'))
      refuse(`${name.replaceAll('\0', '\\0')} has a NUL byte, which no program can be given`);
    // As it is written to the supervisor, quotes and line feeds escaped.
    const bytes = Buffer.byteLength(JSON.stringify(text));
    if (Buffer.byteLength(text) > MAX_TEXT_BYTES)
      refuse(`${name} has ${Buffer.byteLength(text)} bytes, and Linux takes no more than ${MAX_TEXT_BYTES}`);
    total += bytes;
  }
  if (total > MAX_TOTAL_BYTES)
    refuse(
      `arguments and environment have ${total} bytes together, and no more than ${MAX_TOTAL_BYTES} can be given: put what is large into a file and mount it`,
    );
}

function refuse(message: string): never {
  throw new BerthError('invalid-argument', `invalid argument: ${message}`);
}
