import assert from 'node:assert/strict';
import { mkdtemp, rm, symlink, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PassThrough } from 'node:stream';
import { test } from 'node:test';
import { sampleReport } from '../../test/fixtures/compare-report.ts';
import type { DriverProbe, Image, ProcessIo } from '../core/index.ts';
import { encodeFrame, FRAME } from '../formats/frames.ts';
import { compareRequestProblem } from '../wire/compare.ts';
import { formatBytes, formatCount, formatDuration, formatRatio } from '../wire/compare-units.ts';
import { Book } from './book.ts';
import { conclude } from './conclusion.ts';
import { recordDensity } from './density.ts';
import { decodeCapabilities } from './observe/capabilities.ts';
import { allocatedBytes } from './observe/disk.ts';
import { belonging, memoryGroup, parseStat } from './observe/processes.ts';
import { OutputReader, parseAnswers } from './output.ts';
import { buildReport } from './report.ts';
import { SECTIONS } from './rows/index.ts';
import { interleave, measured, percentile } from './statistics.ts';
import { remainingMs, runSteps, type Step } from './steps.ts';
import { chooseCommand, chooseIsolations } from './subject.ts';
import { cameUp, parseCounters } from './vm-starts.ts';

test('percentiles interpolate between neighbours and need at least one sample', () => {
  assert.equal(percentile([3, 1, 2], 0.5), 2);
  assert.equal(percentile([1, 2, 3, 4], 0.5), 2.5);
  assert.equal(percentile([7], 0.95), 7);
  assert.throws(() => percentile([], 0.5), RangeError);
  assert.deepEqual(measured([5, 1], 'ms').values, [5, 1]);
});

test('turns are spread evenly, never one kind after the other', () => {
  assert.deepEqual(
    interleave(
      new Map([
        ['a', 4],
        ['b', 2],
      ]),
    ),
    ['a', 'b', 'a', 'a', 'b', 'a'],
  );
  assert.deepEqual(
    interleave(
      new Map([
        ['a', 1],
        ['b', 1],
      ]),
    ),
    ['a', 'b'],
  );
  assert.deepEqual(interleave(new Map()), []);
});

test('a forecast uses what steps of the same kind really took', async () => {
  const step = (kind: string, expectedMs: number): Step => ({
    kind,
    phase: 'p',
    label: kind,
    expectedMs,
    run: async () => {},
  });
  const steps = [step('a', 100), step('a', 100), step('b', 50)];
  assert.equal(remainingMs(steps, 0, new Map()), 250);
  assert.equal(remainingMs(steps, 1, new Map([['a', [10]]])), 60);
  const told: number[] = [];
  await runSteps(steps, ({ done }) => told.push(done), undefined);
  assert.deepEqual(told, [0, 1, 2, 3]);
});

test('an aborted comparison does no further step', async () => {
  const abort = new AbortController();
  let ran = 0;
  const run = async () => {
    ran++;
    abort.abort();
  };
  const steps = [0, 1].map((n): Step => ({ kind: 'a', phase: 'p', label: `${n}`, expectedMs: 1, run }));
  await assert.rejects(
    runSteps(steps, () => {}, abort.signal),
    { code: 'cancelled' },
  );
  assert.equal(ran, 1);
});

test('requests are refused with the member that is wrong', () => {
  assert.equal(compareRequestProblem({}), undefined);
  assert.equal(
    compareRequestProblem({ image: 'a', command: ['b'], runs: 3, isolations: ['vm'], html: true }),
    undefined,
  );
  assert.match(compareRequestProblem([]) ?? '', /object/);
  assert.match(compareRequestProblem({ images: 'a' }) ?? '', /"images"/);
  assert.match(compareRequestProblem({ runs: 0 }) ?? '', /runs/);
  assert.match(compareRequestProblem({ runs: 1.5 }) ?? '', /runs/);
  assert.match(compareRequestProblem({ command: ['a', 1] }) ?? '', /command/);
  assert.match(compareRequestProblem({ isolations: ['jail'] }) ?? '', /container, vm/);
});

const image = (config: Image['config']) => ({ config }) as Image;

test('a bare shell is replaced by a command that says something and ends', () => {
  assert.deepEqual(chooseCommand({}, image({ Cmd: ['/bin/sh'] })).shown, ['echo', 'ready']);
  assert.deepEqual(chooseCommand({}, image({ Cmd: ['nginx', '-g'] })).shown, ['nginx', '-g']);
  assert.deepEqual(chooseCommand({ command: ['x'] }, image({ Entrypoint: ['/e'] })).shown, ['/e', 'x']);
  assert.throws(() => chooseCommand({ image: 'none' }, image({})), {
    code: 'invalid-argument',
    message: /none/,
  });
});

test('an isolation that does not work here is left out with the reason', () => {
  const good: DriverProbe = { usable: true, probes: [], facts: {} };
  const bad: DriverProbe = {
    usable: false,
    probes: [{ name: 'qemu', ok: false, detail: 'not found', remedy: 'install it' }],
    facts: {},
  };
  const chosen = chooseIsolations({}, { container: good, vm: bad });
  assert.deepEqual(chosen.isolations, ['container']);
  assert.deepEqual(chosen.absent, [{ isolation: 'vm', reason: 'qemu: not found (install it)' }]);
  assert.throws(() => chooseIsolations({ isolations: ['vm'] }, { vm: bad }), {
    code: 'unavailable',
    message: /install it/,
  });
});

test('output is followed line by line with the time of its first byte', async () => {
  const output = new PassThrough();
  const io = { output } as unknown as ProcessIo;
  const reader = new OutputReader(io);
  output.write(encodeFrame(FRAME.stdout, 'a=1\nb'));
  output.write(encodeFrame(FRAME.stderr, 'oops'));
  output.end(encodeFrame(FRAME.stdout, '=2\na=3'));
  await reader.ended;
  assert.equal(typeof (await reader.firstByte), 'number');
  assert.equal(reader.errors, 'oops');
  assert.deepEqual(
    [...parseAnswers(reader.lines)],
    [
      ['a', ['1', '3']],
      ['b', ['2']],
    ],
  );
});

test('output that ends without a byte has no first one', async () => {
  const output = new PassThrough();
  const reader = new OutputReader({ output } as unknown as ProcessIo);
  output.end();
  assert.equal(await reader.firstByte, undefined);
});

test('the processes of an instance are those below its shim and in its control group', () => {
  const id = 'a'.repeat(64);
  const group = `4:memory:/berth-1/${id}\n`;
  const all = [
    { pid: 1, parent: 0, name: 'init', cgroup: '' },
    { pid: 10, parent: 1, name: 'berth-shim', cgroup: '4:memory:/\n' },
    { pid: 11, parent: 10, name: 'qemu-system-x86', cgroup: group },
    { pid: 12, parent: 11, name: 'helper', cgroup: group },
    { pid: 13, parent: 1, name: 'moved', cgroup: group },
    { pid: 20, parent: 1, name: 'other', cgroup: '4:memory:/\n' },
  ];
  assert.deepEqual(belonging(all, 11), { shim: 10, own: [11, 12, 13] });
  assert.equal(memoryGroup(group), `/berth-1/${id}`);
  assert.equal(memoryGroup('0::/x\n'), '/x');
  assert.equal(memoryGroup('0::/\n'), undefined);
  assert.deepEqual(parseStat('7 (a) b) S 3 7'), { pid: 7, name: 'a) b', parent: 3 });
});

test('allocated bytes count a sparse file by its blocks and follow no link', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'berth-compare-'));
  try {
    const empty = await allocatedBytes(folder);
    await writeFile(join(folder, 'sparse'), '');
    await truncate(join(folder, 'sparse'), 1 << 30);
    await symlink('/', join(folder, 'link'));
    assert.ok((await allocatedBytes(folder)) - empty < 1 << 20);
  } finally {
    await rm(folder, { recursive: true });
  }
});

test('capabilities are decoded by their bits', () => {
  assert.deepEqual(decodeCapabilities('0000000000000000'), []);
  assert.deepEqual(decodeCapabilities('0000000000200001'), ['CHOWN', 'SYS_ADMIN']);
  assert.equal(decodeCapabilities('000001ffffffffff').length, 41);
});

test('density takes the dearer of what it holds and what it is charged', () => {
  const book = new Book();
  book.sample('memory.next', 'vm', 40);
  book.sample('memory.group', 'vm', 50);
  recordDensity(book, ['vm', 'container'], 1000);
  assert.deepEqual(book.cell('density.idle', 'vm', 'count'), {
    kind: 'fact',
    text: '20',
    detail: '1000 B available / 50 B each = 20',
    value: 20,
  });
  assert.equal(book.cell('density.idle', 'container', 'count')?.kind, 'unknown');
});

test('what nothing was said of is unknown in the report, never left out', () => {
  const report = sampleReport({ empty: true });
  const rows = report.sections.flatMap((section) => section.rows);
  assert.equal(rows.length, SECTIONS.flatMap((section) => section.rows).length);
  const cells = rows.flatMap((row) => Object.values(row.cells));
  assert.ok(cells.every((cell) => cell.kind === 'unknown' || (cell.kind === 'fact' && cell.text === 'none')));
  const ids = report.conclusion.flatMap((sentence) => sentence.rows);
  assert.ok(!ids.includes('memory.next'), 'no sentence without its rows');
});

test('ratios are quotients of medians, and there is none where a side is missing', () => {
  const book = new Book();
  book.sample('work.cpu', 'host', 10);
  book.sample('work.cpu', 'vm', 70);
  const { host, subject, absent, caveats, startedAt, durationMs } = sampleReport();
  const report = buildReport(book, { host, subject, absent, caveats, startedAt, durationMs });
  const row = report.sections.flatMap((section) => section.rows).find(({ id }) => id === 'work.cpu');
  assert.deepEqual(row?.ratios, { vmToHost: 7 });
});

test('a conclusion cites rows that exist and says so when there was no KVM', () => {
  const report = sampleReport();
  const ids = new Set(report.sections.flatMap((section) => section.rows.map((row) => row.id)));
  for (const sentence of report.conclusion) for (const id of sentence.rows) assert.ok(ids.has(id), id);
  assert.ok(report.conclusion.some(({ text }) => /emulated/.test(text)));
  const kvm = conclude(report.sections, { ...report, host: { ...report.host, accelerator: 'kvm' } });
  assert.ok(!kvm.some(({ text }) => /emulated/.test(text)));
});

test('figures have three digits at most and their unit', () => {
  assert.equal(formatDuration(0.42), '420 µs');
  assert.equal(formatDuration(31.26), '31.3 ms');
  assert.equal(formatDuration(2612), '2.61 s');
  assert.equal(formatBytes(42 << 20), '42 MiB');
  assert.equal(formatCount(1234567), '1\u202f234\u202f567');
  assert.equal(formatRatio(1.018), '1.02×');
});

test('how a VM came up is read off the counters, and not known when others started meanwhile', () => {
  const at = (starts: string, pool: string) => parseCounters({ starts, pool });
  const before = at('3 forked, 1 booted', '1 waiting, 0 hits, 2 misses');
  assert.deepEqual(before, { forked: 3, booted: 1, waiting: 1, hits: 0 });
  assert.equal(cameUp(before, at('4 forked, 1 booted', '1 waiting, 0 hits, 2 misses')), 'fork');
  assert.equal(cameUp(before, at('4 forked, 1 booted', '0 waiting, 1 hits, 2 misses')), 'pool');
  assert.equal(cameUp(before, at('3 forked, 2 booted', '0 waiting, 1 hits, 2 misses')), 'cold');
  assert.equal(cameUp(before, at('4 forked, 2 booted', '0 waiting, 1 hits, 2 misses')), undefined);
  assert.equal(cameUp(before, before), undefined);
});

test('a conclusion tells how VMs came up where it was measured', () => {
  const report = sampleReport();
  const cited = report.conclusion.find(({ rows }) => rows.includes('deploy.exit-cold'));
  assert.deepEqual(cited?.rows, ['deploy.exit', 'deploy.exit-cold', 'deploy.exit-pool']);
  const row = report.sections.flatMap(({ rows }) => rows).find(({ id }) => id === 'deploy.exit-pool');
  assert.deepEqual(row?.cells.container, { kind: 'fact', text: 'none', value: 0 });
  assert.deepEqual(row?.ratios, {});
});
