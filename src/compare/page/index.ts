// The page: a report as one HTML file that needs nothing else. Owns its words, charts and style; never measures.
// What it says first, then charts, then every row with its method.

import type {
  CompareCell,
  CompareColumn,
  CompareReport,
  CompareRow,
  CompareSection,
} from '../../wire/compare.ts';
import { formatBytes, formatDuration, formatRatio } from '../../wire/compare-units.ts';
import { lifeChart, memoryChart, spreadChart, workChart } from './charts.ts';
import { STYLE } from './style.ts';
import { COLUMN_NAMES, cellHtml, escapeHtml, headline } from './text.ts';

const MARK =
  '<svg viewBox="0 0 26 26" aria-hidden="true"><rect x="2" y="5" width="13" height="13" rx="3" class="container"/><rect x="11" y="9" width="13" height="13" rx="3" class="vm" opacity=".85"/></svg>';

/** Pure: the same report makes the same page. */
export function renderHtml(report: CompareReport): string {
  const { subject } = report;
  const title = `${subject.image}: ${subject.isolations.map((isolation) => COLUMN_NAMES[isolation].toLowerCase()).join(' and ')} compared`;
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${escapeHtml(title)}</title>
<style>${STYLE}</style>
</head>
<body>
<main>
${header(report)}
${tiles(report)}
${conclusion(report)}
${report.sections.map((section) => sectionHtml(report, section)).join('\n')}
<h2 id="notes">How to read this</h2>
<ul class="notes">${report.caveats.map((caveat) => `<li>${escapeHtml(caveat)}</li>`).join('')}</ul>
<footer>Measured by <code>berth compare</code> on ${escapeHtml(report.startedAt.slice(0, 16).replace('T', ' '))} UTC in ${formatDuration(report.durationMs)}. Every figure was taken on this host in this run; what was not measured says “unknown”.</footer>
</main>
</body>
</html>
`;
}

function header(report: CompareReport): string {
  const { subject, host } = report;
  const runs = subject.isolations
    .map(
      (name) =>
        `${subject.runs[name]} ${name === 'vm' ? 'VM' : name} run${subject.runs[name] === 1 ? '' : 's'}`,
    )
    .join(', ');
  const heading =
    subject.isolations.length === 2
      ? `<code>${escapeHtml(subject.image)}</code> as a <span class="c">container</span> and as a <span class="v">virtual machine</span>`
      : `<code>${escapeHtml(subject.image)}</code> as a ${subject.isolations.map((name) => COLUMN_NAMES[name].toLowerCase()).join('')}`;
  const command = escapeHtml(subject.command.join(' '));
  const chips: [string, string][] = [
    ['processor', `${host.cpuModel}, ${host.cpus} cores`],
    ['memory', formatBytes(host.memoryBytes)],
    ['kernel', host.kernel],
    ['system', host.distribution],
    ['VM acceleration', host.accelerator === 'tcg' ? 'none (TCG emulation)' : host.accelerator],
    ...(host.containerRuntime === undefined ? [] : [['runtime', host.containerRuntime] as [string, string]]),
    ['load', `${host.loadBefore} to ${host.loadAfter}`],
  ];
  return `<div class="brand">${MARK}berth compare</div>
<h1>${heading}</h1>
<p class="lede">Command <code>${command}</code> (${escapeHtml(subject.commandNote)}) · ${runs}, by turns</p>
<ul class="host">${chips.map(([name, value]) => `<li><b>${name}</b>${escapeHtml(value)}</li>`).join('')}</ul>`;
}

interface Tile {
  readonly row: string;
  readonly title: string;
  /** Shown beneath. */
  readonly tell?: (row: CompareRow) => string;
}

const asLong = (row: CompareRow) => versus(row.ratios.vmToContainer, 'as long');
const asMuch = (row: CompareRow) => versus(row.ratios.vmToContainer, 'as much');

const TILES: readonly Tile[] = [
  { row: 'deploy.first-output', title: 'Start to first output', tell: asLong },
  { row: 'memory.next', title: 'Memory of each further idle instance', tell: asMuch },
  { row: 'density.idle', title: 'Idle instances that fit in memory' },
  { row: 'work.cpu', title: 'A fixed computing job', tell: hostRatios },
  {
    row: 'isolation.host-syscalls',
    title: 'Host system calls within reach',
    tell: ({ cells }) => (cells.vm === undefined ? '' : 'VM: only through its monitor'),
  },
  { row: 'isolation.panic', title: 'A kernel panic inside reaches' },
];

function versus(ratio: number | undefined, words: string): string {
  return ratio === undefined ? '' : `VM: ${formatRatio(ratio)} ${words} as the container`;
}

function hostRatios({ ratios }: CompareRow): string {
  const parts = [
    ...(ratios.containerToHost === undefined ? [] : [`container ${formatRatio(ratios.containerToHost)}`]),
    ...(ratios.vmToHost === undefined ? [] : [`VM ${formatRatio(ratios.vmToHost)}`]),
  ];
  return parts.length === 0 ? '' : `against the host: ${parts.join(', ')}`;
}

function tiles(report: CompareReport): string {
  const rows = report.sections.flatMap((section) => section.rows);
  const made = TILES.flatMap(({ row: id, title, tell }) => {
    const row = rows.find((candidate) => candidate.id === id);
    if (row === undefined) return [];
    const lines = report.subject.isolations.map((name) => tileLine(name, row.cells[name]));
    const told = tell?.(row) ?? '';
    return [
      `<a class="tile" href="#${id}"><h3>${escapeHtml(title)}</h3><dl>${lines.join('')}</dl>${told === '' ? '' : `<p>${escapeHtml(told)}</p>`}</a>`,
    ];
  });
  return `<div class="tiles">${made.join('')}</div>`;
}

function tileLine(column: CompareColumn, cell: CompareCell | undefined): string {
  const value = headline(cell);
  const name = column === 'vm' ? 'VM' : COLUMN_NAMES[column];
  return `<dt class="${column}">${name}</dt><dd${value.length > 12 ? ' class="long"' : ''}>${escapeHtml(value)}</dd>`;
}

function conclusion(report: CompareReport): string {
  const labels = new Map(
    report.sections.flatMap((section) => section.rows.map((row) => [row.id, row.label])),
  );
  const cite = (id: string) => `<a href="#${id}" title="${escapeHtml(labels.get(id) ?? id)}">${id}</a>`;
  const items = report.conclusion.map(
    ({ text, rows }) => `<li>${escapeHtml(text)}<span class="cites">${rows.map(cite).join('')}</span></li>`,
  );
  return `<h2 id="conclusion">In short</h2><ol class="conclusion">${items.join('')}</ol>`;
}

const KEYS = '<p class="keys"><span>container</span><span class="v">virtual machine</span></p>';

function chart(title: string, drawing: string): string {
  return drawing === '' ? '' : `<h3>${title}</h3><div class="chart">${drawing}</div>`;
}

function charts(report: CompareReport, section: string): string {
  if (section === 'deploy') {
    const life = chart('One life of the workload, medians', lifeChart(report));
    return `${life}${chart('Every run (logarithmic scale; the bar is the median)', spreadChart(report))}${KEYS}`;
  }
  if (section === 'resources') return `${chart('Memory of one idle instance', memoryChart(report))}${KEYS}`;
  if (section === 'work')
    return `${chart('Time as a multiple of the host’s (logarithmic scale)', workChart(report))}${KEYS}`;
  return '';
}

function sectionHtml(report: CompareReport, section: CompareSection): string {
  const order: readonly CompareColumn[] = ['host', 'container', 'vm'];
  const columns = order.filter((column) => section.rows.some((row) => row.cells[column] !== undefined));
  const ratio = section.rows.some((row) => Object.keys(row.ratios).length > 0);
  const head = [
    ...columns.map((column) => `<th>${COLUMN_NAMES[column]}</th>`),
    ...(ratio ? ['<th class="narrow">Ratio</th>'] : []),
  ];
  const rows = section.rows.map((row) => {
    const cells = columns.map((column) => cellHtml(row.cells[column], column));
    const name = `<td><b>${escapeHtml(row.label)}</b><small>${escapeHtml(row.method)}</small></td>`;
    return `<tr id="${row.id}">${name}${cells.join('')}${ratio ? ratioCell(row) : ''}</tr>`;
  });
  return `<section><h2 id="${section.id}">${escapeHtml(section.title)}</h2><p class="about">${escapeHtml(section.about)}</p>
${charts(report, section.id)}
<table><thead><tr><th></th>${head.join('')}</tr></thead><tbody>${rows.join('\n')}</tbody></table></section>`;
}

function ratioCell({ ratios }: CompareRow): string {
  const { vmToContainer, containerToHost, vmToHost } = ratios;
  const host = [
    ...(containerToHost === undefined ? [] : [`container ${formatRatio(containerToHost)}`]),
    ...(vmToHost === undefined ? [] : [`VM ${formatRatio(vmToHost)}`]),
  ];
  const main =
    vmToContainer === undefined ? '' : `<b>${formatRatio(vmToContainer)}</b><small>VM to container</small>`;
  const more = host.length === 0 ? '' : `<small>to host: ${host.join(', ')}</small>`;
  return `<td class="ratio" data-label="Ratio">${main}${more}</td>`;
}
