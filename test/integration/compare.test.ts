// The comparison as a user runs it: the program, a daemon started on demand, real containers and VMs.

import assert from 'node:assert/strict';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { writeTar } from '../../src/formats/tar.ts';
import type { CompareCell, CompareColumn, CompareReport } from '../../src/wire/compare.ts';
import { CliHost } from '../fixtures/cli.ts';

const BENCH = join(import.meta.dirname, '../../build/bin/berth-bench');
const TIMEOUT_MS = 300_000;

let host: CliHost;

before(async () => {
  host = await CliHost.open();
});

after(async () => {
  assert.deepEqual(await host.close(), []);
});

const cellOf = (report: CompareReport, id: string, column: CompareColumn): CompareCell => {
  const row = report.sections.flatMap((section) => section.rows).find((candidate) => candidate.id === id);
  const cell = row?.cells[column];
  assert.ok(cell !== undefined, `${id} ${column}`);
  return cell;
};

const medianOf = (report: CompareReport, id: string, column: CompareColumn): number => {
  const cell = cellOf(report, id, column);
  assert.ok(cell.kind === 'measured', `${id} ${column}: ${JSON.stringify(cell)}`);
  return cell.p50;
};

const factOf = (report: CompareReport, id: string, column: CompareColumn): string => {
  const cell = cellOf(report, id, column);
  assert.ok(cell.kind === 'fact', `${id} ${column}: ${JSON.stringify(cell)}`);
  return cell.text;
};

describe('berth compare', { timeout: TIMEOUT_MS }, () => {
  let report: CompareReport;
  let page: string;

  before(async () => {
    const file = join(host.root, 'page.html');
    const { code, stdout, stderr } = await host.run(
      'compare',
      '--runs',
      '1',
      '--format',
      'json',
      '--html',
      file,
    );
    assert.equal(code, 0, stderr);
    assert.match(
      stderr,
      /deploying\n.*working inside\n.*cleaning up\n/s,
      'a line per phase without a terminal',
    );
    report = JSON.parse(stdout);
    page = await readFile(file, 'utf8');
  });

  test('measures both isolations of an image that it made itself, and knows every cell', () => {
    assert.deepEqual(report.subject.isolations, ['container', 'vm']);
    assert.equal(report.subject.image, 'busybox');
    const unknown = report.sections.flatMap(({ rows }) =>
      rows.flatMap((row) =>
        Object.entries(row.cells).flatMap(([column, cell]) =>
          cell.kind === 'unknown' ? [`${row.id} ${column}: ${cell.reason}`] : [],
        ),
      ),
    );
    assert.deepEqual(unknown, []);
  });

  test('finds figures that fit together', () => {
    for (const column of ['container', 'vm'] as const) {
      const output = medianOf(report, 'deploy.first-output', column);
      assert.ok(output > 0 && output <= medianOf(report, 'deploy.exit', column) + 1, column);
      assert.ok(medianOf(report, 'memory.instance', column) > 0, column);
      assert.ok(
        Math.abs(medianOf(report, 'work.clock', column) - 1) < 0.2,
        `${column}: the clock inside is right`,
      );
    }
    // A guest's memory is held by its monitor; a container's idle program is a few pages.
    assert.ok(medianOf(report, 'memory.next', 'vm') > 10 * medianOf(report, 'memory.next', 'container'));
    assert.ok(medianOf(report, 'size.kernel', 'vm') > 1 << 20);
  });

  test('says how the VMs came up, each row of one kind', () => {
    const output = cellOf(report, 'deploy.first-output', 'vm');
    assert.ok(output.kind === 'measured' && output.note === 'forked from a template');
    assert.ok(medianOf(report, 'deploy.exit-pool', 'vm') < medianOf(report, 'deploy.exit-cold', 'vm'));
    assert.equal(factOf(report, 'deploy.exit-cold', 'container'), 'none');
    assert.ok(report.conclusion.some(({ rows }) => rows.includes('deploy.exit-pool')));
  });

  test('finds evidence of both borders', () => {
    assert.match(factOf(report, 'isolation.kernel', 'container'), /the host’s$/);
    assert.match(factOf(report, 'isolation.kernel', 'vm'), /its own$/);
    for (const column of ['container', 'vm'] as const)
      assert.match(factOf(report, 'isolation.processes', column), /none of the host/);
    assert.match(factOf(report, 'isolation.outside', 'vm'), /^monitor: user \d+, 0 caps, filtered$/);
    const admitted = (row: string, column: CompareColumn) => Number.parseInt(factOf(report, row, column), 10);
    assert.ok(admitted('isolation.syscalls', 'container') < admitted('isolation.syscalls', 'host'));
    assert.equal(
      admitted('isolation.syscalls', 'container'),
      admitted('isolation.host-syscalls', 'container'),
      'tried inside and read from outside, a filter admits the same',
    );
  });

  test('panics a guest for real and sees it reported, with the host and a second guest alive', () => {
    const cell = cellOf(report, 'isolation.panic', 'vm');
    assert.ok(cell.kind === 'fact');
    assert.equal(cell.text, 'its guest only');
    assert.match(cell.detail ?? '', /guest-panic/);
    const container = cellOf(report, 'isolation.panic', 'container');
    assert.ok(container.kind === 'fact' && /not tried/.test(container.detail ?? ''));
  });

  test('concludes from rows that are there', () => {
    const ids = new Set(report.sections.flatMap((section) => section.rows.map((row) => row.id)));
    assert.ok(report.conclusion.length >= 5);
    for (const { rows } of report.conclusion) for (const id of rows) assert.ok(ids.has(id), id);
  });

  test('writes a page that needs nothing else', () => {
    assert.equal(report.html, undefined);
    assert.match(page, /^<!doctype html>/);
    assert.doesNotMatch(page, /<script|<link|<img|url\(|NaN|undefined/);
    for (const { text } of report.conclusion)
      assert.ok(page.includes(text.slice(0, 30).replaceAll("'", '&#39;')));
  });

  test('leaves no workload behind', async () => {
    assert.equal(await host.ok('ps', '-aq'), '');
  });
});

describe('berth compare of one isolation', { timeout: TIMEOUT_MS }, () => {
  const one = ['compare', '--isolation', 'container', '--runs', '1'];

  test('prints a table of 100 columns, and removes what a comparison that was killed has left', async () => {
    await host.ok('create', '--name', 'left', '--label', 'berth.compare=dead', 'busybox', 'true');
    const { code, stdout, stderr } = await host.run(...one, 'busybox', 'echo', 'hello');
    assert.equal(code, 0, stderr);
    assert.match(stdout, /^DEPLOYMENT SPEED +container$/m);
    assert.match(stdout, /^command {2}echo hello \(given\)$/m);
    assert.equal(await host.ok('ps', '-aq'), '');
  });

  test('works with an image that holds nothing but one program', async () => {
    const folder = join(host.root, 'scratch');
    await mkdir(folder);
    const tar: Buffer[] = [];
    const content = await readFile(BENCH);
    for await (const part of writeTar([{ name: 'app', type: 'file', mode: 0o755, content }])) tar.push(part);
    await writeFile(join(folder, 'root.tar'), Buffer.concat(tar));
    await host.ok('import', '--change', 'CMD ["/app", "facts"]', join(folder, 'root.tar'), 'nothing:else');
    const report: CompareReport = JSON.parse(await host.ok(...one, 'nothing:else', '--format', 'json'));
    assert.deepEqual(report.subject.command, ['/app', 'facts']);
    assert.ok(medianOf(report, 'work.cpu', 'container') > 0);
  });

  test('boots the VMs of an image that cannot be forked, and says so', async () => {
    await host.ok('create', '--name', 'seed', 'busybox', 'true');
    const archive = join(host.root, 'seed.tar');
    await host.ok('export', '--output', archive, 'seed');
    await host.ok('rm', 'seed');
    await host.ok(
      'import',
      '--change',
      'VOLUME /data',
      '--change',
      'CMD ["echo", "x"]',
      archive,
      'with:volume',
    );
    const text = await host.ok(
      'compare',
      '--isolation',
      'vm',
      '--runs',
      '1',
      '--format',
      'json',
      'with:volume',
    );
    const report: CompareReport = JSON.parse(text);
    const exit = cellOf(report, 'deploy.exit', 'vm');
    assert.ok(exit.kind === 'measured' && exit.note === 'booted cold');
    assert.equal(cellOf(report, 'deploy.exit-pool', 'vm').kind, 'unknown');
    assert.ok(report.caveats.some((caveat) => /cannot be forked/.test(caveat)));
  });

  test('takes a command that does not end for a service', async () => {
    // It ends when it is told to, as a service does; else every run would wait to kill it.
    const script = 'trap "exit 0" TERM; echo up; while :; do sleep 600 & wait; done';
    const text = await host.ok(...one, '--format', 'json', 'busybox', 'sh', '-c', script);
    const report: CompareReport = JSON.parse(text);
    assert.ok(medianOf(report, 'deploy.first-output', 'container') > 0);
    const exit = cellOf(report, 'deploy.exit', 'container');
    assert.ok(exit.kind === 'unknown' && /service/.test(exit.reason));
    assert.ok(report.caveats.some((caveat) => /service/.test(caveat)));
  });

  test('says what is wrong with a command, an image or a flag, and leaves nothing', async () => {
    const missing = await host.run(...one, 'busybox', 'no-such-command');
    assert.notEqual(missing.code, 0);
    assert.match(missing.stderr, /no-such-command/);
    const flag = await host.run('compare', '--runs', '0');
    assert.match(flag.stderr, /runs must be a whole number from 1 to 100/);
    const jail = await host.run('compare', '--isolation', 'jail');
    assert.match(jail.stderr, /container or vm/);
    const unwritable = await host.run('compare', '--html', '/no/such/folder/page.html');
    assert.match(unwritable.stderr, /cannot write \/no\/such\/folder/);
    assert.equal(await host.ok('ps', '-aq'), '');
  });

  test('is cancelled when its client goes, and refuses a second one meanwhile', async () => {
    const events = host.start('events', '--format', '{{.Action}}');
    const running = host.start('compare', '--isolation', 'container', '--runs', '100');
    await events.until(/start/);
    const second = await host.run('compare', '--isolation', 'container', '--runs', '1');
    assert.notEqual(second.code, 0);
    assert.match(second.stderr, /a comparison is running/);
    running.child.kill('SIGKILL');
    await running.done;
    // The run in progress is finished; whatever was made is removed.
    await events.until(/destroy/);
    await untilNone();
    events.child.kill();
    await events.done;
  });
});

/** Resolves when no workload is left: each removal is an event. */
async function untilNone(): Promise<void> {
  const events = host.start('events', '--since', '0', '--format', '{{.Action}} {{.ID}}');
  const removals = () => events.stdout.match(/destroy/g)?.length ?? 0;
  try {
    // Counted before the look, so that no removal falls between the two.
    for (let seen = removals(); (await host.ok('ps', '-aq')) !== ''; seen = removals())
      await events.until(new RegExp(`(destroy[^]*){${seen + 1}}`));
  } finally {
    events.child.kill();
    await events.done;
  }
}
