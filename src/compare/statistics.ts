// Samples to figures. Pure.

import type { CompareUnit, MeasuredCell } from '../wire/compare.ts';

/**
 * The value below which a share `p` (0-1) of the samples lies, with linear interpolation between neighbours (the usual
 * "type 7"). With few samples a p95 is close to the largest one. Throws RangeError without samples.
 */
export function percentile(values: readonly number[], p: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  const position = (sorted.length - 1) * p;
  const below = sorted[Math.floor(position)];
  const above = sorted[Math.ceil(position)];
  if (below === undefined || above === undefined) throw new RangeError('no samples');
  return below + (above - below) * (position - Math.floor(position));
}

/** The figure of one or more samples. */
export function measured(values: readonly number[], unit: CompareUnit, note?: string): MeasuredCell {
  return {
    kind: 'measured',
    unit,
    samples: values.length,
    p50: percentile(values, 0.5),
    p95: percentile(values, 0.95),
    min: Math.min(...values),
    max: Math.max(...values),
    values: [...values],
    ...(note === undefined ? {} : { note }),
  };
}

/**
 * The order in which runs of several kinds take turns, each spread evenly over the whole: 4 of A and 2 of B are
 * A B A A B A, never A A A A B B, so that a slow minute of the host hurts all alike.
 */
export function interleave<K extends string>(counts: ReadonlyMap<K, number>): K[] {
  const turns: { readonly key: K; readonly at: number; readonly rank: number }[] = [];
  let rank = 0;
  for (const [key, count] of counts) {
    for (let i = 0; i < count; i++) turns.push({ key, at: (i + 0.5) / count, rank });
    rank++;
  }
  return turns.toSorted((a, b) => a.at - b.at || a.rank - b.rank).map((turn) => turn.key);
}
