// How many idle instances fit: memory only, by the dearer of two measures. Pure.

import type { Isolation } from '../core/index.ts';
import { formatBytes, formatCount } from '../wire/compare-units.ts';
import type { Book } from './book.ts';

export function recordDensity(book: Book, isolations: readonly Isolation[], availableBytes: number): void {
  for (const isolation of isolations) {
    const [next] = book.samples('memory.next', isolation);
    const [charged = 0] = book.samples('memory.group', isolation);
    if (next === undefined || next <= 0) {
      book.unknown('density.idle', isolation, 'the memory of a further instance is not known');
      continue;
    }
    const each = Math.max(next, charged);
    const count = Math.floor(availableBytes / each);
    const detail = `${formatBytes(availableBytes)} available / ${formatBytes(each)} each = ${formatCount(count)}`;
    book.fact('density.idle', isolation, formatCount(count), { detail, value: count });
  }
}
