// GET /metrics of a whole daemon, with a container and a virtual machine that run, and with many.

import assert from 'node:assert/strict';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { cgroupHost, readCgroupStats, readHostPressures, removeCgroup } from '../../src/host/index.ts';
import { type ApiDaemon, startApiDaemon } from '../fixtures/api-daemon.ts';
import { testCgroup } from '../fixtures/control-group.ts';

/** As https://prometheus.io/docs/instrumenting/exposition_formats has it. */
const SAMPLE = /^([a-zA-Z_:][\w:]*)(?:\{((?:[a-zA-Z_]\w*="(?:[^"\\\n]|\\["\\n])*",?)*)\})? (\S+)$/;

interface Sample {
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

/** Fails on a line that is none of the format, a sample without a type, or a metric in two places. */
function parse(text: string): Sample[] {
  assert.ok(text.endsWith('\n'));
  const types = new Map<string, string>();
  return text.split('\n').flatMap((line) => {
    const [, typed, type = ''] = /^# TYPE (\S+) (counter|gauge|histogram)$/.exec(line) ?? [];
    if (typed !== undefined) {
      assert.ok(!types.has(typed), `${typed} stands in two places`);
      types.set(typed, type);
    }
    if (line === '' || line.startsWith('# ')) return [];
    const [, name = '', labels = '', value = ''] = SAMPLE.exec(line) ?? assert.fail(`no sample: ${line}`);
    const family = [...types.keys()].at(-1) ?? '';
    assert.ok([family, `${family}_bucket`, `${family}_sum`, `${family}_count`].includes(name), line);
    const pairs = [...labels.matchAll(/(\w+)="((?:[^"\\]|\\.)*)"/g)].map((pair) => [pair[1], pair[2]]);
    assert.ok(Number.isFinite(Number(value)), line);
    return [{ name, labels: Object.fromEntries(pairs), value: Number(value) }];
  });
}

describe('metrics', () => {
  let daemon: ApiDaemon;

  const scrape = async () => parse((await daemon.call('GET', '/metrics')).text);
  const start = async (name: string, more: object = {}) => {
    const body = { Image: 'busybox', Cmd: ['sleep', '1000'], HostConfig: { NetworkMode: 'none', ...more } };
    assert.equal((await daemon.call('POST', `/containers/create?name=${name}`, { body })).status, 201);
    assert.equal((await daemon.call('POST', `/containers/${name}/start`)).status, 204);
  };

  before(async () => {
    daemon = await startApiDaemon();
  });
  after(async () => await daemon[Symbol.asyncDispose]());

  test('are text of the format that Prometheus reads', async () => {
    const { status, headers } = await daemon.call('GET', '/metrics');
    assert.deepEqual([status, headers['content-type']], [200, 'text/plain; version=0.0.4; charset=utf-8']);
    const samples = await scrape();
    const value = (name: string) => samples.find((sample) => sample.name === name)?.value;
    assert.equal(value('berth_build_info'), 1);
    assert.ok((value('process_resident_memory_bytes') ?? 0) > 1e7);
    const host = readHostPressures();
    assert.equal(
      samples.some(({ name }) => name.startsWith('berth_host_pressure')),
      host !== undefined,
    );
  });

  test('have the same figures for a container and a virtual machine', async () => {
    const limits = { Memory: 256 << 20, PidsLimit: 50 };
    await Promise.all([start('box', limits), start('machine', { ...limits, Isolation: 'vm' })]);
    const samples = await scrape();
    const of = (name: string) => samples.filter(({ labels }) => labels['name'] === name);
    const names = (name: string) => [...new Set(of(name).map((sample) => sample.name))];
    const inBoth = (list: string[]) => list.filter((name) => !name.includes('pressure')).sort();
    assert.deepEqual(inBoth(names('box')), inBoth(names('machine')));
    assert.ok(names('box').length >= 20, names('box').join());
    for (const [name, isolation] of [
      ['box', 'container'],
      ['machine', 'vm'],
    ] as const) {
      const sample = of(name).find(({ name: metric }) => metric === 'berth_workload_pids_limit');
      assert.deepEqual(
        [sample?.value, sample?.labels['isolation'], sample?.labels['image']],
        [50, isolation, 'busybox'],
      );
    }
    const starts = samples.filter(({ name }) => name === 'berth_start_duration_seconds_count');
    assert.deepEqual(
      starts.map(({ labels, value }) => [labels['isolation'], value]),
      [
        ['container', 1],
        ['vm', 1],
      ],
    );
  });

  test('of others are not held up by a machine that hangs', async () => {
    const inspected = (await daemon.call('GET', '/containers/machine/json')).json<{
      State: { Pid: number };
    }>();
    process.kill(inspected.State.Pid, 'SIGSTOP');
    try {
      const samples = await scrape();
      const value = (name: string) => samples.find((sample) => sample.name === name)?.value;
      assert.equal(value('berth_workloads_unanswered'), 1);
      const usage = samples.filter(({ name }) => name === 'berth_workload_memory_usage_bytes');
      assert.deepEqual(
        usage.map(({ labels }) => labels['name']),
        ['box'],
      );
    } finally {
      process.kill(inspected.State.Pid, 'SIGCONT');
    }
    await daemon.call('DELETE', '/containers/machine?force=1');
  });

  test('count what failed to start', async () => {
    const body = { Image: 'busybox', Cmd: ['/absent'], HostConfig: { NetworkMode: 'none' } };
    await daemon.call('POST', '/containers/create?name=broken', { body });
    assert.notEqual((await daemon.call('POST', '/containers/broken/start')).status, 204);
    const samples = await scrape();
    const failed = samples.filter(({ name, value }) => name === 'berth_start_failures_total' && value > 0);
    assert.deepEqual(
      failed.map(({ labels, value }) => [labels['isolation'], value]),
      [['container', 1]],
    );
    const stopped = samples.filter(({ labels }) => labels['name'] === 'broken');
    assert.ok(stopped.every(({ name }) => /_state$|_restarts_total$/.test(name)));
  });

  test('of 100 workloads cost the daemon less than 100 ms of CPU time', async () => {
    const names = Array.from({ length: 99 }, (_, number) => `many-${number}`);
    for (let at = 0; at < names.length; at += 10)
      await Promise.all(names.slice(at, at + 10).map((name) => start(name)));
    const spent = async () =>
      (await scrape()).find(({ name }) => name === 'process_cpu_seconds_total')?.value ?? 0;
    const readings: number[] = [];
    for (let scrapes = 0; scrapes < 8; scrapes++) readings.push(await spent());
    const costs = readings.slice(1).map((value, index) => value - (readings[index] ?? 0));
    const median = costs.sort((a, b) => a - b)[Math.floor(costs.length / 2)] ?? 1;
    assert.ok(median < 0.1, `${median} s`);
    process.stdout.write(`# a scrape of 100 workloads: ${(median * 1000).toFixed(1)} ms of CPU time\n`);
  });
});

test('the pressure on a control group is measured where the kernel does it', async (t) => {
  const { unified } = cgroupHost();
  if (unified === undefined || readHostPressures() === undefined)
    return t.skip('this kernel measures no pressure on control groups');
  const path = testCgroup();
  await mkdir(join(unified, path));
  try {
    const { pressure } = await readCgroupStats(path);
    assert.deepEqual(Object.keys(pressure ?? {}), ['cpu', 'memory', 'io']);
  } finally {
    await removeCgroup(path);
  }
});
