// "Are you sure?" before anything is removed that the user did not name.

import type { Context } from './command.ts';

/** Resolves to whether the user typed y. Without anybody to ask the answer is no. */
export async function confirm(context: Context, warning: string): Promise<boolean> {
  await context.out.write(`WARNING! ${warning}\nAre you sure you want to continue? [y/N] `);
  const { createInterface } = await import('node:readline');
  const lines = createInterface({ input: process.stdin });
  for await (const line of lines) {
    lines.close();
    return /^y(es)?$/i.test(line.trim());
  }
  await context.out.line('');
  return false;
}
