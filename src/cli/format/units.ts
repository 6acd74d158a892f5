// Sizes, durations and times: how users write them and how they are shown.

import { describeSpan } from '../../wire/times.ts';
import { CliError } from '../errors.ts';

const BINARY = 'kmgtpe';

/** `512`, `64k`, `1.5g`, `2GiB`: bytes in powers of 1024, as memory is counted. */
export function parseSize(text: string, what: string): number {
  const match = /^(-?\d+(?:\.\d+)?)\s*([bkmgtpe]?)(?:i?b)?$/i.exec(text.trim());
  const [, digits, letter = ''] = match ?? [];
  if (digits === undefined) {
    throw new CliError(
      `invalid size ${JSON.stringify(text)} for ${what}: give a number with b, k, m or g, such as 512m`,
      125,
    );
  }
  const power = BINARY.indexOf(letter.toLowerCase()) + 1;
  return Math.floor(Number(digits) * 1024 ** (letter === '' || letter.toLowerCase() === 'b' ? 0 : power));
}

const NANOSECONDS: Readonly<Record<string, number>> = {
  ns: 1,
  us: 1e3,
  µs: 1e3,
  ms: 1e6,
  s: 1e9,
  m: 60e9,
  h: 3600e9,
};

/** `1h30m`, `500ms`, `1.5s`: nanoseconds. */
export function parseDurationNs(text: string, what: string): number {
  const parts = [...text.matchAll(/(\d+(?:\.\d+)?)(ns|us|µs|ms|s|m|h)/g)];
  const whole = parts.map((part) => part[0]).join('');
  if (text === '0') return 0;
  if (text === '' || whole !== text) {
    throw new CliError(
      `invalid duration ${JSON.stringify(text)} for ${what}: give a time such as 30s or 1m30s`,
      125,
    );
  }
  return parts.reduce((sum, [, digits, unit]) => sum + Number(digits) * (NANOSECONDS[unit ?? ''] ?? 0), 0);
}

/** Bytes in powers of 1000, as Docker shows the sizes of images: `4.26MB`. */
export function decimalSize(bytes: number): string {
  return scaled(bytes, 1000, ['B', 'kB', 'MB', 'GB', 'TB', 'PB'], 3);
}

/** Bytes in powers of 1024, as memory is shown: `12.5MiB`. */
export function binarySize(bytes: number): string {
  return scaled(bytes, 1024, ['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB'], 4);
}

function scaled(bytes: number, base: number, units: readonly string[], digits: number): string {
  let value = bytes;
  let unit = 0;
  while (value >= base && unit < units.length - 1) {
    value /= base;
    unit++;
  }
  return `${Number(value.toPrecision(digits))}${units[unit]}`;
}

/** Seconds in the words of Docker's tables: `3 minutes`, `About an hour`, `2 weeks`. */
export function humanDuration(seconds: number): string {
  return describeSpan(seconds * 1000);
}

/** How long ago a moment was. */
export function ago(unixSeconds: number, nowMs: number = Date.now()): string {
  return `${humanDuration(Math.max(0, nowMs / 1000 - unixSeconds))} ago`;
}

/**
 * A moment as logs and events take it: a Unix time with its fraction, RFC 3339, a local date, or a duration before now.
 * Returned as seconds with nanoseconds, the form of Docker's API.
 */
export function parseMoment(text: string, what: string, nowMs: number = Date.now()): string {
  if (/^\d+(\.\d+)?$/.test(text)) return text;
  if (/^(\d+(\.\d+)?(ns|us|µs|ms|s|m|h))+$/.test(text)) {
    return (nowMs / 1000 - parseDurationNs(text, what) / 1e9).toFixed(9);
  }
  const ms = Date.parse(text);
  if (Number.isNaN(ms)) {
    throw new CliError(
      `invalid time ${JSON.stringify(text)} for ${what}: give RFC 3339, a Unix time or a duration such as 10m`,
      125,
    );
  }
  const fraction = /\.(\d{1,9})/.exec(text)?.[1] ?? '';
  return `${Math.floor(ms / 1000)}.${fraction.padEnd(9, '0')}`;
}
