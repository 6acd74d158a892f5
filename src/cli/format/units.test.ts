import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  ago,
  binarySize,
  decimalSize,
  humanDuration,
  parseDurationNs,
  parseMoment,
  parseSize,
} from './units.ts';

test('sizes are read in powers of 1024', () => {
  const cases = {
    '0': 0,
    '512': 512,
    '64b': 64,
    '1k': 1024,
    '1.5g': 1610612736,
    '2GiB': 2147483648,
    '3MB': 3145728,
  };
  for (const [text, bytes] of Object.entries(cases)) assert.equal(parseSize(text, 'x'), bytes, text);
  for (const bad of ['', 'x', '1x', '1 2', 'm']) {
    assert.throws(() => parseSize(bad, '--memory'), { exitCode: 125, message: /--memory/ }, bad);
  }
});

test('durations are read as Go writes them', () => {
  const cases = { '0': 0, '30s': 30e9, '1m30s': 90e9, '500ms': 5e8, '1.5h': 5400e9 };
  for (const [text, ns] of Object.entries(cases)) assert.equal(parseDurationNs(text, 'x'), ns, text);
  for (const bad of ['', '5', 's', '1x', '1s '])
    assert.throws(() => parseDurationNs(bad, 'x'), /invalid duration/, bad);
});

test('sizes are shown with three or four digits', () => {
  assert.deepEqual([0, 999, 4_263_000, 1.2e10].map(decimalSize), ['0B', '999B', '4.26MB', '12GB']);
  assert.deepEqual([0, 1023, 1536, 13_002_342].map(binarySize), ['0B', '1023B', '1.5KiB', '12.4MiB']);
});

test("durations are shown in the words of Docker's client", () => {
  const cases: readonly (readonly [number, string])[] = [
    [0, 'Less than a second'],
    [1, '1 second'],
    [59, '59 seconds'],
    [60, 'About a minute'],
    [200, '3 minutes'],
    [3600, 'About an hour'],
    [7500, '2 hours'],
    [86400 * 3, '3 days'],
    [86400 * 20, '2 weeks'],
    [86400 * 70, '2 months'],
    [86400 * 800, '2 years'],
  ];
  for (const [seconds, text] of cases) assert.equal(humanDuration(seconds), text);
  assert.equal(ago(90, 100_000), '10 seconds ago');
});

test('moments are Unix times, dates or durations before now', () => {
  assert.equal(parseMoment('123.5', 'x'), '123.5');
  assert.equal(parseMoment('10s', 'x', 100_000), '90.000000000');
  assert.equal(parseMoment('1970-01-01T00:01:00.25Z', 'x'), '60.250000000');
  assert.throws(() => parseMoment('yesterday', '--since'), /invalid time "yesterday" for --since/);
});
