// Limits, statistics, pausing.

import assert from 'node:assert/strict';
import { isBerthError } from '../../src/core/index.ts';
import { output } from './exec-cases.ts';
import { until } from './fixture.ts';
import type { Case } from './instance-suite.ts';

const SPIN = 'echo ready; while :; do :; done';
const TICK = 'i=0; while :; do i=$((i+1)); echo tick $i; sleep 0.05; done';

export const resourceCases: readonly Case[] = [
  [
    'does not call an ordinary end a death for want of memory',
    async ({ bench, driver, fixture }) => {
      const { status } = await bench.run(driver, ['true'], {
        resources: { memoryBytes: fixture.memoryLimitBytes },
      });
      assert.deepEqual([status.code, status.oomKilled], [0, false]);
    },
  ],
  [
    'stops processes while paused and lets them go on',
    async ({ bench, driver }) => {
      const instance = await bench.create(driver, ['sh', '-c', TICK]);
      assert.ok(instance.pausing, 'this isolation can be paused');
      await assert.rejects(instance.pausing.pause(), (error) => isBerthError(error, 'invalid-state'));
      const io = await instance.attach({ stdin: false, stdout: true, stderr: true });
      const ticking = until(io, (text) => text.includes('tick 2'));
      await instance.start();
      await ticking;
      await instance.pausing.pause();
      assert.equal((await instance.state()).state, 'paused');
      await assert.rejects(instance.pausing.pause(), (error) => isBerthError(error, 'conflict'));
      const first = await instance.stats?.();
      // In this time it would have ticked six times.
      await new Promise((resolve) => setTimeout(resolve, 300));
      const second = await instance.stats?.();
      assert.ok((second?.cpu.totalNs ?? 0) - (first?.cpu.totalNs ?? 0) < 50_000_000);
      assert.ok((second?.pids.current ?? 99) <= 3, 'what is counted is still the workload');
      const more = until(io, (text) => (text.match(/tick/g)?.length ?? 0) >= 3);
      await instance.pausing.resume();
      assert.equal((await instance.state()).state, 'running');
      await more;
    },
  ],
  [
    'dies of a kill while paused',
    async ({ bench, driver }) => {
      const instance = await bench.create(driver, ['sleep', '1000']);
      await instance.start();
      await instance.pausing?.pause();
      await instance.kill(9);
      assert.equal((await instance.wait()).code, 137);
    },
  ],
  [
    'dies of a kill that meets a pause',
    async ({ bench, driver }) => {
      for (let round = 0; round < 6; round++) {
        const instance = await bench.create(driver, ['sleep', '1000']);
        assert.ok(instance.pausing);
        await instance.start();
        const begun = Date.now();
        const calls = [
          () => instance.pausing?.pause(),
          () => instance.kill(9),
          () => instance.pausing?.pause(),
        ];
        await Promise.allSettled(calls.slice(round % 2).map((call) => call()));
        assert.equal((await instance.wait()).code, 137);
        assert.ok(Date.now() - begun < 5000, `round ${round}: ${Date.now() - begun} ms`);
        await instance.remove();
      }
    },
  ],
  [
    'is as paused as it says when a signal that it ignores meets a pause',
    async ({ bench, driver }) => {
      const instance = await bench.create(driver, ['sh', '-c', 'trap "" TERM; echo ready; sleep 1000']);
      assert.ok(instance.pausing);
      const io = await instance.attach({ stdin: false, stdout: true, stderr: true });
      const ready = until(io, (text) => text.includes('ready'));
      await instance.start();
      await ready;
      for (let round = 0; round < 20; round++) {
        const calls = [() => instance.pausing?.pause(), () => instance.kill(15)];
        if (round % 2) calls.reverse();
        await Promise.allSettled(calls.map((call) => call()));
        if ((await instance.state()).state === 'paused') await instance.pausing.resume();
        assert.equal((await output(instance, ['echo', 'on'])).stdout, 'on\n');
      }
    },
  ],
  [
    'measures what it uses',
    async ({ bench, driver }) => {
      const instance = await bench.create(driver, ['sh', '-c', SPIN]);
      const io = await instance.attach({ stdin: false, stdout: true, stderr: true });
      const ready = until(io, (text) => text.includes('ready'));
      await instance.start();
      await ready;
      assert.ok(instance.stats);
      const first = await instance.stats();
      let second = await instance.stats();
      while (second.cpu.totalNs <= first.cpu.totalNs) second = await instance.stats();
      assert.ok(second.memory.usageBytes > 0);
      assert.ok(second.pids.current >= 1);
      const { block, memory, pressure } = second;
      assert.ok(
        block !== undefined && block.readOperations !== undefined && block.writeOperations !== undefined,
      );
      assert.ok((memory.peakBytes ?? 0) >= memory.usageBytes / 2 && memory.oomKills === 0);
      // The guest's kernel measures it; a host's may not.
      if (pressure !== undefined) assert.deepEqual(Object.keys(pressure), ['cpu', 'memory', 'io']);
    },
  ],
  [
    'lists its processes and none of others',
    async ({ bench, driver }) => {
      const instance = await bench.create(driver, ['sh', '-c', 'sleep 1001 & echo ready; wait']);
      const io = await instance.attach({ stdin: false, stdout: true, stderr: true });
      const ready = until(io, (text) => text.includes('ready'));
      await instance.start();
      await ready;
      const table = await instance.processes?.([]);
      assert.ok(table);
      assert.ok(table.titles.includes('PID') && table.titles.includes('CMD'));
      const commands = table.rows.map((row) => row.at(-1) ?? '');
      assert.ok(
        commands.some((command) => command.includes('sleep 1001')),
        commands.join('; '),
      );
      assert.ok(!commands.some((command) => command.includes('node')), commands.join('; '));
    },
  ],
  [
    'takes new limits while it runs',
    async ({ bench, driver }) => {
      const instance = await bench.create(driver, ['sleep', '1000'], {
        resources: { memoryBytes: 512 << 20 },
      });
      await instance.start();
      assert.ok(instance.update && instance.stats);
      await instance.update({
        ulimits: [],
        shmBytes: 1 << 26,
        oomKillDisable: false,
        memoryBytes: 256 << 20,
        pidsLimit: 50,
      });
      const stats = await instance.stats();
      assert.deepEqual([stats.memory.limitBytes, stats.pids.limit], [256 << 20, 50]);
    },
  ],
  [
    'refuses statistics and process lists of what does not run',
    async ({ bench, driver }) => {
      const instance = await bench.create(driver, ['true']);
      await assert.rejects(instance.stats?.() ?? Promise.reject(), (error) =>
        isBerthError(error, 'invalid-state'),
      );
      await assert.rejects(instance.processes?.([]) ?? Promise.reject(), (error) =>
        isBerthError(error, 'invalid-state'),
      );
    },
  ],
];
