// `--filter key=value`, given any number of times.

import type { Filters } from '../sdk/types.ts';
import { UsageError } from './errors.ts';

export function parseFilters(items: readonly string[]): Filters {
  const filters: Record<string, string[]> = {};
  for (const item of items) {
    const cut = item.indexOf('=');
    if (cut <= 0) throw new UsageError(`invalid filter ${JSON.stringify(item)}: expected key=value`, 1);
    const key = item.slice(0, cut).trim().toLowerCase();
    filters[key] = [...(filters[key] ?? []), item.slice(cut + 1).trim()];
  }
  return filters;
}
