// Lists of things in the format the user asked for: Docker's table, a Go template, or JSON.

import type { Context } from '../command.ts';
import { CliError } from '../errors.ts';
import { compileTemplate, type Template, TemplateError } from '../template/index.ts';
import { alignColumns } from './table.ts';

export interface Listing<Row extends object> {
  /** Heading of each field, in the order of the default table; fields in `extra` are headed too, but not in it. */
  readonly headings: { readonly [K in keyof Row]?: string };
  /** Fields of the default table. */
  readonly table: readonly (keyof Row & string)[];
  readonly format: string | undefined;
}

/** Prints the rows. `table …` and no format at all are tables with a heading; `json` is one object a line. */
export async function printList<Row extends object>(
  context: Context,
  rows: readonly Row[],
  listing: Listing<Row>,
): Promise<void> {
  await context.out.write(renderList(rows, listing));
}

/** The text of `printList`. */
export function renderList<Row extends object>(rows: readonly Row[], listing: Listing<Row>): string {
  const { format = 'table', headings } = listing;
  if (format === 'json') return rows.map((row) => `${JSON.stringify(row)}\n`).join('');
  if (!/^table(\s|$)/.test(format)) {
    const template = compile(format);
    return rows.map((row) => `${apply(template, row)}\n`).join('');
  }
  const columns = format.slice(5).trim() || listing.table.map((field) => `{{.${field}}}`).join('\\t');
  const template = compile(columns);
  const lines = [apply(template, headingRow(headings)), ...rows.map((row) => apply(template, row))];
  return alignColumns(lines.map((line) => line.split('\t')));
}

/** One value by a template or as JSON. */
export function renderOne(value: unknown, format: string): string {
  return format === 'json' ? JSON.stringify(value) : apply(compile(format), value);
}

/** Compiles a format as typed in a shell, where \t and \n are two characters. */
function compile(format: string): Template {
  return guarded(format, () => compileTemplate(format.replaceAll('\\t', '\t').replaceAll('\\n', '\n')));
}

function apply(template: Template, value: unknown): string {
  return guarded('', () => template.execute(value));
}

function guarded<T>(format: string, action: () => T): T {
  try {
    return action();
  } catch (error) {
    if (!(error instanceof TemplateError)) throw error;
    const hint =
      format.includes('{{') || format === ''
        ? ''
        : `; formats are table, json and Go templates such as '{{.ID}}'`;
    throw new CliError(`invalid --format: ${error.message}${hint}`, 1, { cause: error });
  }
}

/** Headings in place of values; a method such as .Label is headed by its argument. */
function headingRow(headings: Readonly<Record<string, string | undefined>>): object {
  return { ...headings, Label: (name: unknown) => String(name) };
}

/** The first twelve digits of an id, or all of it. */
export function shortId(id: string, whole = false): string {
  return whole ? id : id.replace(/^sha256:/, '').slice(0, 12);
}

/** Cuts a text for a table. */
export function ellipsis(text: string, length: number, whole = false): string {
  return whole || text.length <= length ? text : `${text.slice(0, length - 1)}…`;
}

/** Labels as one cell. */
export function labelText(labels: Readonly<Record<string, string>> | null | undefined): string {
  return Object.entries(labels ?? {})
    .map(([key, value]) => `${key}=${value}`)
    .sort()
    .join(',');
}
