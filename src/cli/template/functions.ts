// The functions a template may call. `and` and `or` are not here: they stop early, so the evaluator owns them.

import { printValue, sprintf } from './print.ts';

export type TemplateFunction = (...args: readonly unknown[]) => unknown;

/** Whether a value counts as true: not false, 0, '', null, undefined, nor empty. */
export function truthy(value: unknown): boolean {
  if (Array.isArray(value)) return value.length > 0;
  if (typeof value === 'object' && value !== null) return Object.keys(value).length > 0;
  return Boolean(value);
}

function index(value: unknown, ...keys: readonly unknown[]): unknown {
  let at = value;
  for (const key of keys) {
    if (at === null || at === undefined) throw new Error('index of nothing');
    if (Array.isArray(at)) {
      if (typeof key !== 'number' || key < 0 || key >= at.length) {
        throw new Error(`index ${printValue(key)} out of range of ${at.length} items`);
      }
      at = at[key];
    } else if (typeof at === 'object') {
      const name = printValue(key);
      at = Object.hasOwn(at, name) ? (at as Record<string, unknown>)[name] : undefined;
    } else {
      throw new Error(`cannot index ${printValue(at)}`);
    }
  }
  return at;
}

function length(value: unknown): number {
  if (typeof value === 'string') return Buffer.byteLength(value);
  if (Array.isArray(value)) return value.length;
  if (typeof value === 'object' && value !== null) return Object.keys(value).length;
  throw new Error(`len of ${printValue(value)}`);
}

function slice(value: unknown, from: unknown = 0, to?: unknown): unknown {
  if (typeof value !== 'string' && !Array.isArray(value)) throw new Error(`slice of ${printValue(value)}`);
  return value.slice(Number(from), to === undefined ? undefined : Number(to));
}

function compare(a: unknown, b: unknown): number {
  if (typeof a !== typeof b) throw new Error(`cannot compare ${printValue(a)} with ${printValue(b)}`);
  return (a as string) < (b as string) ? -1 : (a as string) > (b as string) ? 1 : 0;
}

function join(list: unknown, separator: unknown = ' '): string {
  if (list === null || list === undefined) return '';
  if (!Array.isArray(list)) throw new Error(`join of ${printValue(list)}, which is no list`);
  return list.map(printValue).join(printValue(separator));
}

/** JSON as Go writes it: with <, > and & escaped off, as Docker's client does. */
function json(value: unknown): string {
  return JSON.stringify(value) ?? 'null';
}

function title(value: unknown): string {
  return printValue(value).replace(/(^|\s)\p{L}/gu, (letter) => letter.toUpperCase());
}

/** fmt.Sprint: a space between operands when neither is a string. */
function print(...values: readonly unknown[]): string {
  let text = '';
  for (const [i, value] of values.entries()) {
    if (i > 0 && typeof value !== 'string' && typeof values[i - 1] !== 'string') text += ' ';
    text += printValue(value);
  }
  return text;
}

export const FUNCTIONS: Readonly<Record<string, TemplateFunction>> = {
  json,
  join,
  index,
  slice,
  len: length,
  print,
  printf: (format, ...values) => sprintf(printValue(format), values),
  println: (...values) => `${values.map(printValue).join(' ')}\n`,
  upper: (value) => printValue(value).toUpperCase(),
  lower: (value) => printValue(value).toLowerCase(),
  title,
  split: (value, separator) => printValue(value).split(printValue(separator)),
  pad: (value, before, after) => ' '.repeat(Number(before)) + printValue(value) + ' '.repeat(Number(after)),
  truncate: (value, size) => printValue(value).slice(0, Number(size)),
  not: (value) => !truthy(value),
  eq: (first, ...others) => others.some((other) => first === other),
  ne: (a, b) => a !== b,
  lt: (a, b) => compare(a, b) < 0,
  le: (a, b) => compare(a, b) <= 0,
  gt: (a, b) => compare(a, b) > 0,
  ge: (a, b) => compare(a, b) >= 0,
};

export const FUNCTION_NAMES: readonly string[] = [...Object.keys(FUNCTIONS), 'and', 'or'].sort();
