// The `filters` parameter: {"name":["a"]} or, from old clients, {"name":{"a":true}}.

import { FieldError } from './fields.ts';

export type Filters = ReadonlyMap<string, readonly string[]>;

/** Fails with FieldError when the text is no JSON of that form, or names a filter that is not allowed. */
export function readFilters(text: string | null, allowed: readonly string[]): Filters {
  const filters = new Map<string, readonly string[]>();
  if (text === null || text === '') return filters;
  for (const [name, value] of Object.entries(parse(text))) {
    const values = valuesOf(name, value);
    if (!allowed.includes(name)) throw new FieldError('filter', `'${name}'; known are ${allowed.join(', ')}`);
    filters.set(name, values);
  }
  return filters;
}

function parse(text: string): object {
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value;
  } catch {
    // Said below.
  }
  throw new FieldError('filters', `${JSON.stringify(text)} is not a JSON object`);
}

function valuesOf(name: string, value: unknown): readonly string[] {
  if (Array.isArray(value) && value.every((item) => typeof item === 'string')) return value;
  if (typeof value === 'object' && value !== null && !Array.isArray(value))
    return Object.entries(value).flatMap(([key, wanted]) => (wanted === false ? [] : [key]));
  throw new FieldError('filters', `the values of '${name}' are not a list of strings`);
}

/** The filter's truth: absent without the filter; fails when it is neither true nor false. */
export function booleanFilter(filters: Filters, name: string): boolean | undefined {
  const values = filters.get(name);
  if (values === undefined) return undefined;
  if (values.every((value) => value === '1' || value.toLowerCase() === 'true')) return true;
  if (values.every((value) => value === '0' || value.toLowerCase() === 'false')) return false;
  throw new FieldError('filter', `'${name}=[${values.join(' ')}]' is neither true nor false`);
}

/** Whether labels satisfy every `key` or `key=value`. */
export function matchesLabels(wanted: readonly string[], labels: Readonly<Record<string, string>>): boolean {
  return wanted.every((entry) => {
    const cut = entry.indexOf('=');
    if (cut < 0) return Object.hasOwn(labels, entry);
    const key = entry.slice(0, cut);
    return Object.hasOwn(labels, key) && labels[key] === entry.slice(cut + 1);
  });
}
