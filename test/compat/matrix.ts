// What came out of the scenarios, and its form as a table.

import { CLIENTS } from './docker.ts';
import { ISOLATIONS, SCENARIOS } from './plan.ts';

export interface MatrixEntry {
  readonly title: string;
  readonly client: string;
  readonly isolation: string;
  readonly outcome: 'works' | 'fails' | 'not run';
  readonly reason?: string;
}

const SIGNS: Readonly<Record<MatrixEntry['outcome'], string>> = {
  works: 'yes',
  fails: '**no**',
  'not run': '',
};

/** The Markdown table of all scenarios, with a note for each that was not run for a reason of its own. */
export function renderMatrix(entries: readonly MatrixEntry[]): string {
  const columns = CLIENTS.flatMap(({ name }) => ISOLATIONS.map((isolation) => ({ client: name, isolation })));
  const notes: string[] = [];
  const cell = (title: string, client: string, isolation: string) => {
    const entry = entries.find(
      (candidate) =>
        candidate.title === title && candidate.client === client && candidate.isolation === isolation,
    );
    if (entry === undefined) return '?';
    if (entry.outcome !== 'not run') return SIGNS[entry.outcome];
    const known = notes.indexOf(entry.reason ?? '');
    const note = known >= 0 ? known : notes.push(entry.reason ?? '') - 1;
    return `(${note + 1})`;
  };
  const head = [
    'area',
    'what is shown to work',
    ...columns.map(({ client, isolation }) => `${client}, ${isolation}`),
  ];
  const rows = SCENARIOS.map(({ title, area, covers }) => [
    area,
    covers,
    ...columns.map(({ client, isolation }) => cell(title, client, isolation)),
  ]);
  const table = [head, head.map(() => '---'), ...rows].map((row) => `| ${row.join(' | ')} |`);
  return [...table, '', ...notes.map((note, index) => `${index + 1}. ${note}`)].join('\n');
}
