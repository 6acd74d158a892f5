// Moments and spans as clients write them.

import { FieldError } from './fields.ts';

const SPAN_UNITS: Readonly<Record<string, number>> = {
  ns: 1,
  us: 1e3,
  µs: 1e3,
  ms: 1e6,
  s: 1e9,
  m: 60e9,
  h: 3600e9,
};

/** Nanoseconds of Go's duration form, e.g. `1h30m`, `1.5s`; undefined when it is none. */
export function parseSpan(text: string): bigint | undefined {
  if (!/^(\d+(\.\d+)?(ns|us|µs|ms|s|m|h))+$/.test(text)) return undefined;
  let total = 0;
  for (const [, amount, unit] of text.matchAll(/(\d+(?:\.\d+)?)(ns|us|µs|ms|s|m|h)/g))
    total += Number(amount) * (SPAN_UNITS[unit ?? ''] ?? 0);
  return BigInt(Math.round(total));
}

/**
 * Nanoseconds since the epoch of `1700000000`, `1700000000.000000001`, an RFC 3339 time, a date, or a span before
 * `nowMs`. Undefined for '' and null. Fails with FieldError.
 */
export function parseMoment(
  field: string,
  text: string | null,
  nowMs: number = Date.now(),
): bigint | undefined {
  if (text === null || text === '') return undefined;
  const seconds = /^(-?\d+)(?:\.(\d{1,9})\d*)?$/.exec(text);
  if (seconds !== null)
    return BigInt(seconds[1] ?? '0') * 1_000_000_000n + BigInt((seconds[2] ?? '').padEnd(9, '0'));
  const span = parseSpan(text);
  if (span !== undefined) return BigInt(nowMs) * 1_000_000n - span;
  const ms = /^\d{4}-\d\d-\d\d/.test(text) ? Date.parse(text) : Number.NaN;
  if (Number.isNaN(ms)) throw new FieldError(field, `'${text}' is not a time`);
  // Date keeps milliseconds only; what follows them in the text is added by hand.
  const finer = /\.\d{3}(\d{1,6})/.exec(text)?.[1] ?? '';
  return BigInt(ms) * 1_000_000n + BigInt(finer.padEnd(6, '0'));
}

/** RFC 3339 with nanoseconds. */
export function formatMoment(nano: bigint): string {
  const date = new Date(Number(nano / 1_000_000n)).toISOString();
  return `${date.slice(0, 19)}.${String(nano % 1_000_000_000n).padStart(9, '0')}Z`;
}

/** What Docker shows for a moment that has not come. */
export const NO_TIME = '0001-01-01T00:00:00Z';

/** A time in words, e.g. `About a minute`, `3 hours`, as `docker ps` shows it. */
export function describeSpan(ms: number): string {
  const seconds = Math.floor(ms / 1000);
  if (seconds < 1) return 'Less than a second';
  if (seconds === 1) return '1 second';
  if (seconds < 60) return `${seconds} seconds`;
  const minutes = Math.floor(seconds / 60);
  if (minutes === 1) return 'About a minute';
  if (minutes < 60) return `${minutes} minutes`;
  const hours = Math.round(seconds / 3600);
  if (hours === 1) return 'About an hour';
  if (hours < 48) return `${hours} hours`;
  if (hours < 24 * 7 * 2) return `${Math.floor(hours / 24)} days`;
  if (hours < 24 * 30 * 2) return `${Math.floor(hours / 24 / 7)} weeks`;
  if (hours < 24 * 365 * 2) return `${Math.floor(hours / 24 / 30)} months`;
  return `${Math.floor(hours / 24 / 365)} years`;
}
