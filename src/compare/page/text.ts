// Text and cells of the page. Pure.

import type { CompareCell, CompareColumn } from '../../wire/compare.ts';
import { formatFigure } from '../../wire/compare-units.ts';

const ENTITIES: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
};

/** Text as HTML: nothing in an image's or a command's name can become markup. */
export function escapeHtml(text: string): string {
  return text.replace(/[&<>"']/g, (char) => ENTITIES[char] ?? char);
}

export const COLUMN_NAMES: Readonly<Record<CompareColumn, string>> = {
  host: 'Host',
  container: 'Container',
  vm: 'Virtual machine',
};

/** The value that a cell shows first. */
export function headline(cell: CompareCell | undefined): string {
  if (cell === undefined) return '';
  if (cell.kind === 'unknown') return 'unknown';
  return cell.kind === 'fact' ? cell.text : formatFigure(cell.p50, cell.unit);
}

/** One table cell: the value, and beneath it its spread, its evidence or its reason. */
export function cellHtml(cell: CompareCell | undefined, column: CompareColumn): string {
  const attributes = `data-label="${COLUMN_NAMES[column]}"`;
  if (cell === undefined) return `<td ${attributes}></td>`;
  const value = escapeHtml(headline(cell));
  if (cell.kind === 'unknown')
    return `<td ${attributes} class="unknown"><b>${value}</b><small>${escapeHtml(cell.reason)}</small></td>`;
  if (cell.kind === 'fact') return `<td ${attributes}><b>${value}</b>${evidence(cell.detail)}</td>`;
  const figure = (number: number) => escapeHtml(formatFigure(number, cell.unit));
  const spread =
    cell.samples === 1
      ? '<small>measured once</small>'
      : `<small>p95 ${figure(cell.p95)} · ${figure(cell.min)} to ${figure(cell.max)} · n ${cell.samples}</small>`;
  const note = cell.note === undefined ? '' : `<small>${escapeHtml(cell.note)}</small>`;
  return `<td ${attributes} class="figure"><b>${value}</b>${spread}${note}</td>`;
}

const SHORT = 90;

function evidence(detail: string | undefined): string {
  if (detail === undefined) return '';
  if (detail.length <= SHORT) return `<small>${escapeHtml(detail)}</small>`;
  return `<details><summary>evidence</summary><small>${escapeHtml(detail)}</small></details>`;
}
