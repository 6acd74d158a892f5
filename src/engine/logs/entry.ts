// One line of a json-file log. Pure.

import type { LogEntry } from '../api.ts';

/** How an entry begins, and nothing within one: quotes are escaped there. */
const BEGINNING = '{"log":';

/**
 * Undefined for a line that is no entry: torn by a crash or written by something else. The rest that a crash left in
 * front of an entry, half of another one or NULs, is passed over.
 */
export function parseEntry(line: string): LogEntry | undefined {
  const found = parseWhole(line);
  const begin = line.lastIndexOf(BEGINNING);
  return found === undefined && begin > 0 ? parseWhole(line.slice(begin)) : found;
}

function parseWhole(line: string): LogEntry | undefined {
  try {
    const value: unknown = JSON.parse(line);
    if (typeof value !== 'object' || value === null) return undefined;
    const { log, stream, time } = value as Record<string, unknown>;
    if (typeof log !== 'string' || typeof time !== 'string') return undefined;
    return { stream: stream === 'stderr' ? 2 : 1, time, line: log };
  } catch {
    return undefined;
  }
}

/** Nanoseconds since the epoch of an RFC 3339 time; undefined when it is none. */
export function parseTimeNano(time: string): bigint | undefined {
  const match = /^(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?(Z|[+-]\d\d:\d\d)$/.exec(time);
  if (match === null) return undefined;
  const seconds = Date.parse(`${match[1]}${match[3]}`);
  if (Number.isNaN(seconds)) return undefined;
  return BigInt(seconds) * 1_000_000n + BigInt((match[2] ?? '').padEnd(9, '0'));
}
