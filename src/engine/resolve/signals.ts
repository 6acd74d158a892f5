// Signal names and numbers as users write them.

import { constants } from 'node:os';
import { BerthError } from '../../core/index.ts';

export const SIGKILL = 9;
const SIGRTMIN = 34;
const SIGRTMAX = 64;

/** The number of `TERM`, `SIGTERM`, `sigterm`, `15` or `RTMIN+3`. Fails with `invalid-argument`. */
export function parseSignal(text: string): number {
  if (/^\d+$/.test(text)) {
    const number = Number(text);
    if (number >= 1 && number <= SIGRTMAX) return number;
    throw invalid(text);
  }
  const name = text.toUpperCase().replace(/^SIG/, '');
  const realtime = /^RT(MIN|MAX)(?:([+-])(\d+))?$/.exec(name);
  const number = realtime === null ? named(name) : realtimeNumber(realtime);
  if (number === undefined) throw invalid(text);
  return number;
}

function named(name: string): number | undefined {
  const table: Readonly<Record<string, number>> = constants.signals;
  return Object.hasOwn(table, `SIG${name}`) ? table[`SIG${name}`] : undefined;
}

function realtimeNumber([, base, sign, offset]: RegExpExecArray): number | undefined {
  const distance = Number(offset ?? 0) * (sign === '-' ? -1 : 1);
  const number = (base === 'MIN' ? SIGRTMIN : SIGRTMAX) + distance;
  return number >= SIGRTMIN && number <= SIGRTMAX ? number : undefined;
}

function invalid(text: string): BerthError {
  return new BerthError('invalid-argument', `Invalid signal: ${text}`);
}
