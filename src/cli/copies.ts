// What `fork` and `checkpoint restore` have in common: how many copies, their names, and how they are told.

import type { Copied, CopyRequest } from '../wire/checkpoint.ts';
import type { Context } from './command.ts';
import type { FlagValues } from './flags.ts';
import { printList } from './format/list.ts';

export const copyFlags = {
  count: { kind: 'int', short: 'n', help: 'How many copies (default 1)' },
  name: { kind: 'string', help: 'Name of the copy; of several, what their names begin with' },
  format: { kind: 'string', help: "json, or a template: '{{.Name}} {{.ID}}'" },
} as const;

export function copyRequest({ count, name }: FlagValues<typeof copyFlags>): CopyRequest {
  return { ...(count === undefined ? {} : { count }), ...(name === undefined ? {} : { name }) };
}

/** Their names, a line each, or what the format says. */
export async function printCopies(
  context: Context,
  { copies }: Copied,
  format: string | undefined,
): Promise<number> {
  const rows = copies.map(({ id, name }) => ({ ID: id, Name: name }));
  if (format === undefined) for (const { Name } of rows) await context.out.line(Name);
  else
    await printList(context, rows, { headings: { ID: 'ID', Name: 'NAME' }, table: ['ID', 'Name'], format });
  return 0;
}
