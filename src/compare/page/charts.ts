// Charts as inline SVG, drawn from the report's rows. Colours and type come from the page's style sheet. Pure.

import type { CompareIsolation, CompareReport, CompareRow, MeasuredCell } from '../../wire/compare.ts';
import { formatBytes, formatDuration, formatRatio } from '../../wire/compare-units.ts';
import { COLUMN_NAMES, escapeHtml } from './text.ts';

const WIDTH = 960;
const LEFT = 190;
const RIGHT = 90;
const SPAN = WIDTH - LEFT - RIGHT;

const ISOLATIONS: readonly CompareIsolation[] = ['container', 'vm'];

function rowOf(report: CompareReport, id: string): CompareRow | undefined {
  return report.sections.flatMap((section) => section.rows).find((row) => row.id === id);
}

function figureOf(report: CompareReport, id: string, column: CompareIsolation): MeasuredCell | undefined {
  const cell = rowOf(report, id)?.cells[column];
  return cell?.kind === 'measured' ? cell : undefined;
}

function text(x: number, y: number, content: string, style = '', anchor = 'start'): string {
  return `<text x="${x.toFixed(1)}" y="${y.toFixed(1)}" class="${style}" text-anchor="${anchor}">${escapeHtml(content)}</text>`;
}

function rect(x: number, y: number, width: number, height: number, style: string, title: string): string {
  return `<rect x="${x.toFixed(1)}" y="${y.toFixed(1)}" width="${Math.max(1.5, width).toFixed(1)}" height="${height}" rx="2" class="${style}"><title>${escapeHtml(title)}</title></rect>`;
}

function svg(height: number, label: string, parts: readonly string[]): string {
  return `<svg viewBox="0 0 ${WIDTH} ${height}" role="img" aria-label="${escapeHtml(label)}">${parts.join('')}</svg>`;
}

/** Round steps of a linear axis: 1, 2 or 5 times a power of ten, four to eight of them. */
export function linearTicks(max: number): number[] {
  const rough = max / 5;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((factor) => factor * power).find((size) => size >= rough) ?? power * 10;
  return Array.from({ length: Math.floor(max / step) + 1 }, (_, index) => index * step);
}

/** Powers of ten from at or below `min` to at or above `max`. */
export function logTicks(min: number, max: number): number[] {
  const first = Math.floor(Math.log10(min));
  const last = Math.max(first + 1, Math.ceil(Math.log10(max)));
  return Array.from({ length: last - first + 1 }, (_, index) => 10 ** (first + index));
}

function axis(
  ticks: readonly number[],
  at: (value: number) => number,
  bottom: number,
  format: (value: number) => string,
): string {
  return ticks
    .map((tick) => {
      const x = at(tick).toFixed(1);
      return `<line x1="${x}" x2="${x}" y1="8" y2="${bottom}" class="grid"/>${text(at(tick), bottom + 18, format(tick), 'tick', 'middle')}`;
    })
    .join('');
}

const PHASES = [
  { key: 'create', label: 'create' },
  { key: 'output', label: 'start to first output' },
  { key: 'exit', label: 'first output to exit' },
  { key: 'remove', label: 'remove' },
] as const;

type Phases = Readonly<Record<(typeof PHASES)[number]['key'], number>>;

/** Medians of the parts of a life; the middle one is empty where the command wrote nothing or did not end. */
function phases(report: CompareReport, isolation: CompareIsolation): Phases | undefined {
  const median = (id: string) => figureOf(report, id, isolation)?.p50;
  const [create, remove] = [median('deploy.create'), median('deploy.remove')];
  const [output, exit] = [median('deploy.first-output'), median('deploy.exit')];
  if (create === undefined || remove === undefined || (output ?? exit) === undefined) return undefined;
  return { create, remove, output: output ?? 0, exit: Math.max(0, (exit ?? output ?? 0) - (output ?? 0)) };
}

/** One life of the workload in each isolation, on one linear scale. */
export function lifeChart(report: CompareReport): string {
  const lives = report.subject.isolations.flatMap((isolation) => {
    const parts = phases(report, isolation);
    if (parts === undefined) return [];
    return [{ isolation, parts, total: PHASES.reduce((sum, { key }) => sum + parts[key], 0) }];
  });
  if (lives.length === 0) return '';
  const max = Math.max(...lives.map((life) => life.total));
  const at = (ms: number) => LEFT + (ms / max) * SPAN;
  const bottom = 14 + lives.length * 46;
  const lanes = lives.map(({ isolation, parts, total }, index) => {
    const y = 16 + index * 46;
    let start = 0;
    const bars = PHASES.map(({ key, label }) => {
      const x = at(start);
      start += parts[key];
      if (parts[key] === 0) return '';
      return rect(
        x,
        y,
        at(start) - x,
        28,
        `${isolation} phase-${key}`,
        `${label}: ${formatDuration(parts[key])}`,
      );
    });
    const name = text(LEFT - 14, y + 19, COLUMN_NAMES[isolation], 'name', 'end');
    return `${name}${bars.join('')}${text(at(total) + 8, y + 19, formatDuration(total), 'value')}`;
  });
  const legend = PHASES.map(({ key, label }, index) => {
    const x = LEFT + index * 180;
    return `${rect(x, bottom + 34, 12, 12, `legend phase-${key}`, label)}${text(x + 18, bottom + 44, label, 'tick')}`;
  });
  return svg(bottom + 54, 'From create to removed, medians', [
    axis(linearTicks(max), at, bottom, formatDuration),
    ...lanes,
    ...legend,
  ]);
}

/** Every single run as a dot and the median as a bar, on a logarithmic scale. */
export function spreadChart(report: CompareReport): string {
  const rows = (report.sections.find((section) => section.id === 'deploy')?.rows ?? []).filter((row) =>
    ISOLATIONS.some((isolation) => row.cells[isolation]?.kind === 'measured'),
  );
  const figures = rows.flatMap((row) =>
    ISOLATIONS.flatMap((isolation) => figureOf(report, row.id, isolation)?.values ?? []),
  );
  const positive = figures.filter((value) => value > 0);
  if (positive.length === 0) return '';
  const ticks = logTicks(Math.min(...positive), Math.max(...positive));
  const [low = 1, high = 10] = [ticks[0], ticks.at(-1)];
  const at = (ms: number) => LEFT + (Math.log10(Math.max(ms, low) / low) / Math.log10(high / low)) * SPAN;
  const bottom = 12 + rows.length * 44;
  const lanes = rows.map((row, index) => {
    const y = 14 + index * 44;
    const dots = ISOLATIONS.map((isolation, line) => {
      const cell = figureOf(report, row.id, isolation);
      return cell === undefined ? '' : strip(cell, isolation, y + 10 + line * 17, at);
    });
    return `${text(LEFT - 14, y + 22, row.label, 'name', 'end')}${dots.join('')}`;
  });
  return svg(bottom + 26, 'All runs, logarithmic', [axis(ticks, at, bottom, formatDuration), ...lanes]);
}

function strip(
  cell: MeasuredCell,
  isolation: CompareIsolation,
  y: number,
  at: (ms: number) => number,
): string {
  const dots = cell.values.map(
    (value) =>
      `<circle cx="${at(value).toFixed(1)}" cy="${y}" r="4" class="${isolation} dot"><title>${escapeHtml(formatDuration(value))}</title></circle>`,
  );
  const x = at(cell.p50);
  const furthest = at(cell.max);
  const median = `<line x1="${x.toFixed(1)}" x2="${x.toFixed(1)}" y1="${y - 8}" y2="${y + 8}" class="${isolation} median"/>`;
  return `${dots.join('')}${median}${text(furthest + 10, y + 4, formatDuration(cell.p50), 'value small')}`;
}

/** Time of each job as a multiple of the host's, on a logarithmic scale. */
export function workChart(report: CompareReport): string {
  const rows = report.sections.find((section) => section.id === 'work')?.rows ?? [];
  const jobs = rows.flatMap((row) => {
    const { containerToHost: container, vmToHost: vm } = row.ratios;
    return row.id === 'work.clock' || (container ?? vm) === undefined
      ? []
      : [{ label: row.label, ratios: { container, vm } }];
  });
  const all = jobs.flatMap(({ ratios }) => Object.values(ratios)).filter((ratio) => ratio !== undefined);
  if (all.length === 0) return '';
  const low = Math.min(0.5, ...all);
  const high = Math.max(2, ...all);
  const at = (ratio: number) => LEFT + (Math.log(ratio / low) / Math.log(high / low)) * SPAN;
  const bottom = 10 + jobs.length * 46;
  const lanes = jobs.map(({ label, ratios }, index) => {
    const y = 12 + index * 46;
    const bars = ISOLATIONS.map((isolation, line) =>
      ratioBar(ratios[isolation], isolation, y + 4 + line * 18, at),
    );
    return `${text(LEFT - 14, y + 24, label, 'name', 'end')}${bars.join('')}`;
  });
  const ticks = [0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50, 100, 200, 500, 1000].filter(
    (tick) => tick >= low && tick <= high,
  );
  const one = `<line x1="${at(1).toFixed(1)}" x2="${at(1).toFixed(1)}" y1="4" y2="${bottom}" class="base"/>`;
  return svg(bottom + 26, 'Jobs against the host, logarithmic', [
    axis(ticks, at, bottom, formatRatio),
    ...lanes,
    one,
  ]);
}

function ratioBar(
  ratio: number | undefined,
  isolation: CompareIsolation,
  y: number,
  at: (ratio: number) => number,
): string {
  if (ratio === undefined) return text(at(1) + 8, y + 12, 'unknown', 'tick');
  const [from, to] = [Math.min(at(1), at(ratio)), Math.max(at(1), at(ratio))];
  const title = `${COLUMN_NAMES[isolation]}: ${formatRatio(ratio)} the host’s time`;
  return `${rect(from, y, to - from, 14, isolation, title)}${text(to + 8, y + 12, formatRatio(ratio), 'value small')}`;
}

const MEMORY = [
  { id: 'memory.instance', label: 'memory held' },
  { id: 'memory.shim', label: 'its supervisor' },
  { id: 'memory.next', label: 'each further one' },
  { id: 'memory.group', label: 'charged to its group' },
];

/** Memory of an idle instance, on one linear scale. */
export function memoryChart(report: CompareReport): string {
  const lanes = MEMORY.map(({ id, label }) => ({
    label,
    figures: ISOLATIONS.map((isolation) => ({ isolation, bytes: figureOf(report, id, isolation)?.p50 })),
  })).filter(({ figures }) => figures.some(({ bytes }) => bytes !== undefined));
  const max = Math.max(0, ...lanes.flatMap(({ figures }) => figures.map(({ bytes }) => bytes ?? 0)));
  if (max === 0) return '';
  const at = (bytes: number) => LEFT + (bytes / max) * SPAN;
  const bottom = 10 + lanes.length * 46;
  const bars = lanes.map(({ label, figures }, index) => {
    const y = 12 + index * 46;
    const parts = figures.map(({ isolation, bytes }, line) => {
      if (bytes === undefined) return '';
      const title = `${COLUMN_NAMES[isolation]}: ${formatBytes(bytes)}`;
      const top = y + 4 + line * 18;
      return `${rect(LEFT, top, at(bytes) - LEFT, 14, isolation, title)}${text(at(bytes) + 8, top + 12, formatBytes(bytes), 'value small')}`;
    });
    return `${text(LEFT - 14, y + 24, label, 'name', 'end')}${parts.join('')}`;
  });
  const ticks = linearTicks(max / 2 ** 20).map((mib) => mib * 2 ** 20);
  return svg(bottom + 26, 'Memory of an idle instance', [axis(ticks, at, bottom, formatBytes), ...bars]);
}
