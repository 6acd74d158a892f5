// Commands on several objects: each is done, failures are told at the end, and one failure makes the exit code 1.

import type { Context } from './command.ts';
import { errorText } from './errors.ts';

/** Does `action` for all names side by side; prints what it returns (or the name) in the order given. */
export async function eachTarget(
  context: Context,
  names: readonly string[],
  action: (name: string) => Promise<string | undefined>,
): Promise<number> {
  const results = names.map(async (name) => {
    try {
      return { text: (await action(name)) ?? name };
    } catch (error) {
      return { error: errorText(error) };
    }
  });
  let exitCode = 0;
  for (const result of results) {
    const { text, error } = await result;
    if (error !== undefined) {
      await context.err.line(error);
      exitCode = 1;
    } else if (text !== undefined && text !== '') await context.out.line(text);
  }
  return exitCode;
}
