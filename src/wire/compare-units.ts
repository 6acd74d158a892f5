// How a report's figures read, for everyone who shows one: the terminal, the page, an SDK's user. Pure.

import type { CompareUnit } from './compare.ts';

/** Three significant digits at most. */
function digits(value: number): string {
  if (value >= 100) return Math.round(value).toString();
  return String(Number(value.toPrecision(3)));
}

export function formatDuration(ms: number): string {
  if (ms > 0 && ms < 1) return `${digits(ms * 1000)} µs`;
  return ms < 1000 ? `${digits(ms)} ms` : `${digits(ms / 1000)} s`;
}

export function formatBytes(bytes: number): string {
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];
  let value = bytes;
  let unit = 0;
  while (value >= 1024 && unit < units.length - 1) {
    value /= 1024;
    unit++;
  }
  return `${digits(value)} ${units[unit]}`;
}

/** Thousands apart by a thin space. */
export function formatCount(count: number): string {
  return Math.round(count)
    .toString()
    .replace(/\B(?=(\d{3})+$)/g, '\u202f');
}

export function formatRatio(ratio: number): string {
  return `${ratio < 10 ? Number(ratio.toFixed(2)) : digits(ratio)}×`;
}

export function formatFigure(value: number, unit: CompareUnit): string {
  if (unit === 'ms') return formatDuration(value);
  if (unit === 'bytes') return formatBytes(value);
  if (unit === 'percent') return `${digits(value)} %`;
  if (unit === 'ratio') return value.toFixed(3);
  return formatCount(value);
}
