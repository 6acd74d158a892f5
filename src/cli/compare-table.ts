// The comparison's report as text for a terminal of 100 columns or more. Pure.

import type {
  CompareCell,
  CompareColumn,
  CompareReport,
  CompareRow,
  CompareSection,
} from '../wire/compare.ts';
import { formatBytes, formatDuration, formatFigure, formatRatio } from '../wire/compare-units.ts';

export interface TableOptions {
  readonly columns: number;
  readonly colour: boolean;
}

const NAMES: Readonly<Record<CompareColumn, string>> = { host: 'host', container: 'container', vm: 'VM' };
const ORDER: readonly CompareColumn[] = ['host', 'container', 'vm'];
const RATIO_WIDTH = 13;
const GAP = 2;

/** The whole report, ended by a line feed. */
export function renderReport(report: CompareReport, options: TableOptions): string {
  const paint = painter(options.colour);
  const blocks = [
    header(report, paint),
    ...report.sections.map((section) => renderSection(section, options.columns, paint)),
    conclusion(report, options.columns, paint),
  ];
  return `${blocks.join('\n\n')}\n`;
}

interface Paint {
  readonly title: (text: string) => string;
  readonly soft: (text: string) => string;
}

function painter(colour: boolean): Paint {
  const wrapIn = (code: string) => (text: string) => (colour ? `\x1b[${code}m${text}\x1b[0m` : text);
  return { title: wrapIn('1'), soft: wrapIn('2') };
}

function header({ host, subject }: CompareReport, paint: Paint): string {
  const runs = subject.isolations.map((name) => `${subject.runs[name] ?? 0} ${NAMES[name]}`).join(', ');
  const why = host.acceleratorReason === undefined ? '' : ` (${host.acceleratorReason})`;
  const facts: readonly (readonly [string, string])[] = [
    ['image', `${subject.image} ${subject.imageId.slice(0, 19)}`],
    ['command', `${subject.command.join(' ')} (${subject.commandNote})`],
    ['runs', `${runs}, by turns, after a discarded warm-up of each`],
    [
      'host',
      `${host.cpuModel}, ${host.cpus} cores, ${formatBytes(host.memoryBytes)}, Linux ${host.kernel}, ${host.distribution}`,
    ],
    ['VM by', `${host.accelerator}${why}`],
    ['load', `${host.loadBefore} before, ${host.loadAfter} after`],
  ];
  return facts.map(([name, value]) => `${paint.soft(name.padEnd(9))}${value}`).join('\n');
}

function renderSection(section: CompareSection, columns: number, paint: Paint): string {
  const shown = ORDER.filter((column) => section.rows.some((row) => row.cells[column] !== undefined));
  const ratio = section.rows.some((row) => row.ratios.vmToContainer !== undefined);
  const figures = section.rows.some((row) => row.cells.host?.kind === 'measured');
  const widths = layout(shown, ratio, columns, figures ? 12 : 18);
  const names = shown.map((column) => NAMES[column]);
  const heads = [section.title.toUpperCase(), ...names, ...(ratio ? ['VM/container'] : [])];
  const head = paint.title(joinCells(heads, widths));
  return [head, ...section.rows.flatMap((row) => renderRow(row, shown, widths, ratio))].join('\n');
}

function layout(shown: readonly CompareColumn[], ratio: boolean, columns: number, host: number): number[] {
  const label = 29;
  const rest = columns - label - (ratio ? RATIO_WIDTH : 0) - (shown.includes('host') ? host : 0);
  const each = Math.floor(rest / shown.filter((column) => column !== 'host').length);
  return [
    label,
    ...shown.map((column) => (column === 'host' ? host : each)),
    ...(ratio ? [RATIO_WIDTH] : []),
  ];
}

function joinCells(cells: readonly string[], widths: readonly number[]): string {
  return cells
    .map((cell, index) => cell.padEnd(widths[index] ?? 0))
    .join('')
    .trimEnd();
}

/** A row takes as many lines as its longest cell needs. */
function renderRow(
  row: CompareRow,
  shown: readonly CompareColumn[],
  widths: readonly number[],
  ratio: boolean,
): string[] {
  const quotient = row.ratios.vmToContainer;
  const texts = [
    row.label,
    ...shown.map((column) => cellText(row, column)),
    ...(ratio ? [quotient === undefined ? '' : formatRatio(quotient)] : []),
  ];
  const wrapped = texts.map((text, index) => wrap(text, (widths[index] ?? 20) - GAP));
  const height = Math.max(...wrapped.map((lines) => lines.length));
  return Array.from({ length: height }, (_, line) =>
    joinCells(
      wrapped.map((lines) => lines[line] ?? ''),
      widths,
    ),
  );
}

function cellText(row: CompareRow, column: CompareColumn): string {
  const cell: CompareCell | undefined = row.cells[column];
  if (cell === undefined) return '';
  if (cell.kind === 'unknown') return `unknown: ${cell.reason}`;
  if (cell.kind === 'fact') return cell.text;
  const median = formatFigure(cell.p50, cell.unit);
  const toHost = column === 'vm' ? row.ratios.vmToHost : row.ratios.containerToHost;
  if (column !== 'host' && toHost !== undefined) return `${median} (${formatRatio(toHost)} host)`;
  return cell.samples === 1 || column === 'host'
    ? median
    : `${median} (p95 ${formatFigure(cell.p95, cell.unit)})`;
}

/** Lines of at most `width` characters, broken at spaces where there are any. */
export function wrap(text: string, width: number): string[] {
  const lines: string[] = [];
  let line = '';
  for (const word of text.split(' ')) {
    const longer = line === '' ? word : `${line} ${word}`;
    if (longer.length <= width) {
      line = longer;
      continue;
    }
    if (line !== '') lines.push(line);
    line = word;
    for (; line.length > width; line = line.slice(width)) lines.push(line.slice(0, width));
  }
  return [...lines, line];
}

function conclusion(report: CompareReport, columns: number, paint: Paint): string {
  const bullet = (text: string) =>
    wrap(text, columns - 4).map((line, index) => `${index === 0 ? '  - ' : '    '}${line}`);
  const sentences = report.conclusion.flatMap(({ text, rows }) =>
    bullet(rows.length === 0 ? text : `${text} [${rows.join(', ')}]`),
  );
  const notes = report.caveats.flatMap(bullet);
  return [
    paint.title('IN SHORT'),
    ...sentences,
    '',
    paint.title('HOW TO READ THIS'),
    ...notes,
    '',
    paint.soft(
      `Measured in ${formatDuration(report.durationMs)}. Every method is in --format json and in --html FILE.`,
    ),
  ].join('\n');
}
