// The `inspect` commands: details as JSON, or each by a template.

import { visibleJson } from '../formats/visible.ts';
import { BerthSdkError } from '../sdk/errors.ts';
import type { Context } from './command.ts';
import { renderOne } from './format/list.ts';

export const INSPECT_FLAGS = {
  format: { kind: 'string', short: 'f', help: "json, or a template: '{{.State.Status}}'" },
} as const;

/** Looks a name up; rejects with a 404 when there is no such thing. */
export type Lookup = (name: string) => Promise<unknown>;

/** Prints what the first lookup that knows a name says of it; unknown names are told at the end and make the code 1. */
export async function inspectAll(
  context: Context,
  names: readonly string[],
  lookups: readonly Lookup[],
  format: string | undefined,
): Promise<number> {
  const found: unknown[] = [];
  const errors: string[] = [];
  for (const name of names) {
    try {
      found.push(await lookUp(name, lookups));
    } catch (error) {
      if (!(error instanceof BerthSdkError) || error.status !== 404) throw error;
      errors.push(
        lookups.length > 1
          ? `Error: No such object: ${name}`
          : `Error response from daemon: ${error.message}`,
      );
    }
  }
  if (format === undefined) await context.out.line(visibleJson(JSON.stringify(found, null, 4)));
  else for (const item of found) await context.out.line(renderOne(item, format));
  for (const error of errors) await context.err.line(error);
  return errors.length === 0 ? 0 : 1;
}

async function lookUp(name: string, lookups: readonly Lookup[]): Promise<unknown> {
  for (const [i, lookup] of lookups.entries()) {
    try {
      return await lookup(name);
    } catch (error) {
      const unknown = error instanceof BerthSdkError && (error.status === 404 || error.status === 400);
      if (!unknown || i === lookups.length - 1) throw error;
    }
  }
  return undefined;
}
