import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { InstanceStats, WorkloadView } from '../../core/index.ts';
import { Exposition, formatLabels } from './exposition.ts';
import { addWorkload } from './workloads.ts';

const GAUGE = { name: 'a', type: 'gauge', help: 'One\nline, one \\.' } as const;

describe('the exposition', () => {
  test('keeps the samples of a metric together, each under one head', () => {
    const out = new Exposition();
    out.add(GAUGE, formatLabels({ x: '1' }), 2);
    out.add({ ...GAUGE, name: 'b', type: 'counter' }, '', 3);
    out.add(GAUGE, formatLabels({ x: '2' }), 0.5);
    const head = '# HELP a One\\nline, one \\\\.\n# TYPE a gauge\n';
    assert.ok(out.toString().startsWith(`${head}a{x="1"} 2\na{x="2"} 0.5\n# HELP b `));
    assert.ok(out.toString().endsWith('\nb 3\n'));
  });

  test('escapes what would end a label’s value', () => {
    assert.equal(formatLabels({ name: 'a"b\\c\nd' }), 'name="a\\"b\\\\c\\nd"');
  });

  test('leaves out what was not measured, and metrics without samples', () => {
    const out = new Exposition();
    out.add(GAUGE, '', undefined);
    assert.equal(out.toString(), '');
  });

  test('writes a histogram with all its bounds, their sum and their number', () => {
    const out = new Exposition();
    out.addHistogram('t', 'Time.', 'k="v"', { bounds: [0.5, 1], within: [1, 2], count: 4, sum: 9.5 });
    assert.deepEqual(out.toString().trim().split('\n').slice(2), [
      't_bucket{k="v",le="0.5"} 1',
      't_bucket{k="v",le="1"} 2',
      't_bucket{k="v",le="+Inf"} 4',
      't_sum{k="v"} 9.5',
      't_count{k="v"} 4',
    ]);
  });
});

describe('a workload’s metrics', () => {
  const view = {
    id: 'abc',
    name: 'web',
    state: 'running',
    restartCount: 2,
    startedAt: '2026-01-01T00:00:00Z',
    spec: { isolation: 'vm', image: 'nginx:1' },
  } as WorkloadView;
  const stall = { avg10: 0, avg60: 0, avg300: 0, totalUs: 1_500_000 };
  const stats: InstanceStats = {
    readAt: '2026-01-01T00:00:01Z',
    memory: { usageBytes: 5, detail: {} },
    cpu: { totalNs: 2e9 },
    pids: { current: 3 },
    pressure: { io: { some: stall } },
  };
  const LABELS = 'id="abc",name="web",isolation="vm",image="nginx:1"';

  test('carry who it is, in seconds and bytes', () => {
    const out = new Exposition();
    addWorkload(out, view, stats);
    const lines = out.toString().split('\n');
    for (const line of [
      `berth_workload_state{${LABELS},state="running"} 1`,
      `berth_workload_memory_usage_bytes{${LABELS}} 5`,
      `berth_workload_cpu_seconds_total{${LABELS}} 2`,
      `berth_workload_pids{${LABELS}} 3`,
      `berth_workload_pressure_waiting_seconds_total{${LABELS},resource="io"} 1.5`,
      `berth_workload_restarts_total{${LABELS}} 2`,
    ])
      assert.ok(lines.includes(line), line);
    assert.ok(!out.toString().includes('limit'), 'what is not limited has no limit');
  });

  test('of one that does not run are its state and its restarts', () => {
    const out = new Exposition();
    addWorkload(out, { ...view, state: 'exited' }, undefined);
    assert.equal(
      out
        .toString()
        .split('\n')
        .filter((line) => !line.startsWith('#')).length,
      3,
    );
  });
});
