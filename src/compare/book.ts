// Where a comparison writes down what it finds, row by row and column by column, until the report is made of it.

import type { CompareCell, CompareColumn, CompareUnit } from '../wire/compare.ts';
import { measured } from './statistics.ts';

interface Page {
  readonly values: number[];
  note?: string;
  fact?: CompareCell;
  reason?: string;
}

/** Samples add up; a fact or a reason for not knowing is said once, and samples win over a reason. */
export class Book {
  readonly #pages = new Map<string, Page>();

  #page(row: string, column: CompareColumn): Page {
    const key = `${row} ${column}`;
    const page = this.#pages.get(key) ?? { values: [] };
    this.#pages.set(key, page);
    return page;
  }

  sample(row: string, column: CompareColumn, value: number): void {
    this.#page(row, column).values.push(value);
  }

  /** A remark on what was measured in this cell. */
  note(row: string, column: CompareColumn, note: string): void {
    this.#page(row, column).note = note;
  }

  fact(
    row: string,
    column: CompareColumn,
    text: string,
    more: { detail?: string; value?: number } = {},
  ): void {
    this.#page(row, column).fact = { kind: 'fact', text, ...more };
  }

  /** Why there is no figure; the first reason stays. */
  unknown(row: string, column: CompareColumn, reason: string): void {
    this.#page(row, column).reason ??= reason;
  }

  samples(row: string, column: CompareColumn): readonly number[] {
    return this.#pages.get(`${row} ${column}`)?.values ?? [];
  }

  /** Undefined when nothing was said about this cell. */
  cell(row: string, column: CompareColumn, unit: CompareUnit): CompareCell | undefined {
    const page = this.#pages.get(`${row} ${column}`);
    if (page === undefined) return undefined;
    if (page.values.length > 0) return measured(page.values, unit, page.note);
    if (page.fact !== undefined) return page.fact;
    return page.reason === undefined ? undefined : { kind: 'unknown', reason: page.reason };
  }
}
