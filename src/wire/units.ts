// Sizes as people write them.

import { FieldError } from './fields.ts';

const FACTORS: Readonly<Record<string, number>> = {
  '': 1,
  b: 1,
  k: 2 ** 10,
  m: 2 ** 20,
  g: 2 ** 30,
  t: 2 ** 40,
  p: 2 ** 50,
};

/** Bytes of `10m`, `1.5GB`, `64 KiB` or `4096`; powers of 1024, as Docker counts memory and logs. */
export function parseBytes(field: string, text: string): number {
  const match = /^(\d+(?:\.\d+)?) ?(?:([kmgtp])?(?:i?b)?|b)$/i.exec(text);
  if (match === null) throw new FieldError(field, `'${text}' is not a size like 10m`);
  return Math.floor(Number(match[1]) * (FACTORS[(match[2] ?? '').toLowerCase()] ?? 1));
}
