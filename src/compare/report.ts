// From the book to the report: rows in their order, ratios of medians. Pure.

import type {
  CompareCell,
  CompareColumn,
  CompareReport,
  CompareRow,
  CompareSection,
} from '../wire/compare.ts';
import type { Book } from './book.ts';
import { conclude } from './conclusion.ts';
import { type RowPlan, SECTIONS } from './rows/index.ts';

const NOT_MEASURED = 'not measured in this run';

export type ReportHead = Pick<
  CompareReport,
  'startedAt' | 'durationMs' | 'host' | 'subject' | 'absent' | 'caveats'
>;

export function buildReport(book: Book, head: ReportHead): CompareReport {
  const sections = SECTIONS.map((plan): CompareSection => {
    const rows = plan.rows.map((row) => buildRow(book, row, head));
    return { id: plan.id, title: plan.title, about: plan.about, rows };
  });
  return { version: 1, ...head, sections, conclusion: conclude(sections, head) };
}

/** A row has a cell for each column that it is about; what nothing was said of is unknown, never left out. */
function buildRow(book: Book, plan: RowPlan, head: ReportHead): CompareRow {
  const { isolations } = head.subject;
  const planned = plan.columns ?? isolations;
  const cells: Partial<Record<CompareColumn, CompareCell>> = {};
  for (const column of planned) {
    if (column !== 'host' && !isolations.includes(column)) continue;
    cells[column] = book.cell(plan.id, column, plan.unit) ?? silent(plan, column);
  }
  const { id, label, method, better } = plan;
  return {
    id,
    label,
    method,
    cells,
    ratios: better === undefined ? {} : ratios(cells),
    ...(better === undefined ? {} : { better }),
  };
}

/** Rows that one isolation has nothing to say about, as there is nothing there. */
function silent({ onlyVm }: RowPlan, column: CompareColumn): CompareCell {
  if (column === 'container' && onlyVm === true) return { kind: 'fact', text: 'none', value: 0 };
  return { kind: 'unknown', reason: NOT_MEASURED };
}

function ratios(cells: CompareRow['cells']): CompareRow['ratios'] {
  const vmToContainer = quotient(cells.vm, cells.container);
  const containerToHost = quotient(cells.container, cells.host);
  const vmToHost = quotient(cells.vm, cells.host);
  return {
    ...(vmToContainer === undefined ? {} : { vmToContainer }),
    ...(containerToHost === undefined ? {} : { containerToHost }),
    ...(vmToHost === undefined ? {} : { vmToHost }),
  };
}

function quotient(above: CompareCell | undefined, below: CompareCell | undefined): number | undefined {
  if (above?.kind !== 'measured' || below?.kind !== 'measured' || below.p50 === 0) return undefined;
  return above.p50 / below.p50;
}
