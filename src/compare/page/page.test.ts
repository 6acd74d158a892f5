import assert from 'node:assert/strict';
import { test } from 'node:test';
import { sampleReport } from '../../../test/fixtures/compare-report.ts';
import { linearTicks, logTicks } from './charts.ts';
import { renderHtml } from './index.ts';

test('a page holds every row and loads nothing from elsewhere', () => {
  const report = sampleReport();
  const page = renderHtml(report);
  for (const row of report.sections.flatMap((section) => section.rows))
    assert.ok(page.includes(`id="${row.id}"`), row.id);
  assert.doesNotMatch(page, /<script|<link|<img|@import|url\(|src=/);
  assert.doesNotMatch(page, /NaN|Infinity|undefined/);
});

test('names of images and commands cannot become markup', () => {
  const report = sampleReport({ image: '<b>x</b>', command: ['echo', '<script>alert("1")</script>'] });
  const page = renderHtml(report);
  assert.doesNotMatch(page, /<script>|<b>x<\/b>/);
  assert.match(page, /&lt;script&gt;/);
});

test('every citation of the conclusion leads to a row', () => {
  const page = renderHtml(sampleReport());
  for (const [, id] of page.matchAll(/href="#([^"]+)"/g)) assert.ok(page.includes(`id="${id}"`), id);
});

test('a page with one isolation, and one with nothing measured, is still a page', () => {
  assert.match(renderHtml(sampleReport({ isolations: ['container'] })), /<\/html>/);
  assert.match(renderHtml(sampleReport({ empty: true })), /unknown/);
});

test('axes have round ticks that cover their range', () => {
  assert.deepEqual(linearTicks(3300), [0, 1000, 2000, 3000]);
  assert.deepEqual(logTicks(3, 4200), [1, 10, 100, 1000, 10000]);
  assert.deepEqual(logTicks(10, 10), [10, 100]);
});
