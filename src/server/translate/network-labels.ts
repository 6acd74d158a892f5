// What Docker's requests cannot say of networks is told by labels, which compose files can carry, or by annotations.

import { BerthError, type NetworkRate } from '../../core/index.ts';
import { formatPolicy, parsePolicy } from '../../network/index.ts';

const POLICY_KEY = 'berth.policy';
const RATE_KEY = 'berth.network-rate';

type Labels = Readonly<Record<string, string>>;

/** By the first that says anything. */
function said(key: string, sources: readonly Labels[]): string | undefined {
  return sources.map((labels) => labels[key]).find((value) => value !== undefined);
}

/** Fails with `invalid-argument`, showing the rule. */
export function policyOf(...sources: readonly Labels[]): { readonly policy?: string } {
  const text = said(POLICY_KEY, sources);
  return text === undefined ? {} : { policy: formatPolicy(parsePolicy(text)) };
}

/** `10mbit`, `1m` (bytes a second), or `in=…,out=…`. Fails with `invalid-argument`. */
export function rateOf(...sources: readonly Labels[]): { readonly rate?: NetworkRate } {
  const text = said(RATE_KEY, sources);
  if (text === undefined) return {};
  if (!text.includes('=')) {
    const bytes = parseRate(text);
    return { rate: { inBytesPerSecond: bytes, outBytesPerSecond: bytes } };
  }
  const rate: { inBytesPerSecond?: number; outBytesPerSecond?: number } = {};
  for (const part of text.split(',')) {
    const [way = '', value = ''] = part.split('=', 2);
    if (way === 'in') rate.inBytesPerSecond = parseRate(value);
    else if (way === 'out') rate.outBytesPerSecond = parseRate(value);
    else throw invalid(part);
  }
  return { rate };
}

const BYTES: Readonly<Record<string, number>> = { '': 1, k: 2 ** 10, m: 2 ** 20, g: 2 ** 30 };
const BITS: Readonly<Record<string, number>> = { '': 1, k: 1e3, m: 1e6, g: 1e9 };

function parseRate(text: string): number {
  const [, digits = '', unit = '', bits] = /^(\d+(?:\.\d+)?)([kmg]?)(bit|b)?$/i.exec(text.trim()) ?? [];
  const isBits = bits?.toLowerCase() === 'bit';
  const factor = (isBits ? BITS : BYTES)[unit.toLowerCase()] ?? 0;
  const bytes = Math.round((Number(digits) * factor) / (isBits ? 8 : 1));
  if (digits !== '' && bytes >= 1000) return bytes;
  throw invalid(text);
}

function invalid(text: string): BerthError {
  return new BerthError(
    'invalid-argument',
    `invalid network rate "${text}": it is 10mbit, 1m (bytes a second) or in=10mbit,out=1mbit, and at least 1000 bytes a second`,
  );
}
