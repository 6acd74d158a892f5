import assert from 'node:assert/strict';
import { test } from 'node:test';
import { sampleReport } from '../../test/fixtures/compare-report.ts';
import { progressLine } from './compare-progress.ts';
import { renderReport, wrap } from './compare-table.ts';

test('a report fits its columns and shows every row of every section', () => {
  const report = sampleReport();
  const text = renderReport(report, { columns: 100, colour: false });
  for (const line of text.split('\n')) assert.ok(line.length <= 110, line);
  for (const section of report.sections) assert.ok(text.includes(section.title.toUpperCase()));
  assert.ok(!text.includes('\x1b['));
  assert.doesNotMatch(text, /NaN|undefined/);
});

test('a report of one isolation, or of nothing, is still a table', () => {
  const text = renderReport(sampleReport({ isolations: ['vm'] }), { columns: 100, colour: true });
  assert.ok(text.includes('\x1b[1m'));
  assert.match(renderReport(sampleReport({ empty: true }), { columns: 100, colour: false }), /unknown/);
});

test('text is broken at spaces, and words only where they are too long', () => {
  assert.deepEqual(wrap('one two three', 7), ['one two', 'three']);
  assert.deepEqual(wrap('abcdefgh', 3), ['abc', 'def', 'gh']);
});

test('progress is one line within the terminal', () => {
  const line = progressLine(
    { done: 3, total: 9, phase: 'p', label: 'VM: run 1 of 5', elapsedMs: 1000, remainingMs: 3000 },
    60,
  );
  assert.ok(line.length < 60);
  assert.match(line, /3\/9 about 0:03 left/);
});
