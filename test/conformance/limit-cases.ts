// Noisy neighbours: each limit holds whoever breaks it, and nobody else notices. Bounds are generous, as other tests run
// beside these; what is compared shares their fate.

import assert from 'node:assert/strict';
import { availableParallelism } from 'node:os';
import { setTimeout as delay } from 'node:timers/promises';
import { type Instance, type InstanceSpec, isBerthError, type ResourceSpec } from '../../src/core/index.ts';
import { collect, type SpecChange, until } from './fixture.ts';
import type { Case, Scene } from './instance-suite.ts';

const NONE: ResourceSpec = { ulimits: [], shmBytes: 64 << 20, oomKillDisable: false };
const SPIN = ['sh', '-c', 'echo ready; while :; do :; done'];
const BYTES = 4 << 20;
/** Measured rates may exceed a limit by this much: what was saved up before, and the time it takes to look. */
const TOLERANCE = 1.3;

const running = async (scene: Scene, args: readonly string[], change: SpecChange) =>
  runningAs(scene, await scene.bench.spec(args, change));

async function runningAs({ bench, driver }: Scene, spec: InstanceSpec) {
  const instance = bench.own(await driver.create(spec));
  const io = await instance.attach({ stdin: false, stdout: true, stderr: true });
  const ready = until(io, (text) => text.includes('ready'));
  await instance.start();
  await ready;
  io.close();
  return instance;
}

const neighbour = (scene: Scene) => running(scene, ['sh', '-c', 'echo ready; exec sleep 1000'], {});

async function beside(instance: Instance, args: readonly string[]) {
  assert.ok(instance.exec);
  return await instance.exec.run({
    ...{ args, env: ['PATH=/bin'], cwd: '/', user: '', additionalGroups: [] },
    ...{ tty: false, stdin: false, privileged: false },
  });
}

/** How long one more process took, to its end. */
async function timed(instance: Instance, script: string): Promise<number> {
  const began = performance.now();
  const io = await beside(instance, ['sh', '-c', script]);
  const output = collect(io);
  assert.equal((await io.exit).code, 0, `${script}: ${(await output).stderr}`);
  return (performance.now() - began) / 1000;
}

/** The share of one CPU that each had while the same time passed for all. */
async function cpuShares(instances: readonly Instance[], ms: number): Promise<number[]> {
  const read = () =>
    Promise.all(
      instances.map(async (instance) => {
        const stats = await instance.stats?.();
        return { at: Date.parse(stats?.readAt ?? ''), cpuMs: (stats?.cpu.totalNs ?? 0) / 1e6 };
      }),
    );
  const before = await read();
  await delay(ms);
  const after = await read();
  return after.map(({ at, cpuMs }, index) => {
    const first = before[index];
    return (cpuMs - (first?.cpuMs ?? 0)) / (at - (first?.at ?? 0));
  });
}

export const limitCases: readonly Case[] = [
  [
    'reports death for want of memory as such while it runs and at its end, and dies alone of it',
    async (scene) => {
      const { bench, fixture } = scene;
      const other = await neighbour(scene);
      const spec = await bench.spec(['sh', '-c', 'echo ready; exec sleep 1000'], {
        resources: { memoryBytes: fixture.memoryLimitBytes, memorySwapBytes: fixture.memoryLimitBytes },
      });
      const hog = await runningAs(scene, spec);
      const told = new Promise<void>((resolve) => void hog.wait(resolve));
      assert.equal((await hog.state()).oomKilled, undefined);
      const victim = await beside(hog, ['dd', 'if=/dev/zero', 'of=/dev/null', 'bs=600M', 'count=1']);
      assert.equal((await victim.exit).code, 137);
      await told;
      const { state, oomKilled } = await hog.state();
      assert.deepEqual([state, oomKilled], ['running', true]);
      const next = await fixture.makeDriver(bench.root);
      assert.equal((await (await next.adopt(spec)).state()).oomKilled, true);
      await hog.kill(9);
      assert.equal((await hog.wait()).oomKilled, true);
      assert.equal((await other.state()).state, 'running');
      await timed(other, 'true');
    },
  ],
  [
    'gets no more CPU time than its limit, and less after an update',
    async (scene) => {
      const hog = await running(scene, SPIN, { resources: { cpus: 0.5 } });
      const [used = 1] = await cpuShares([hog], 700);
      assert.ok(used <= 0.5 * TOLERANCE, `${used} of a CPU`);
      await hog.update?.({ ...NONE, cpus: 0.2 });
      const [less = 1] = await cpuShares([hog], 700);
      assert.ok(less <= 0.2 * 1.6, `${less} of a CPU`);
    },
  ],
  [
    'shares a CPU by weight',
    async (scene) => {
      const light = await running(scene, SPIN, {});
      const heavy = await running(scene, SPIN, {});
      // Only meanwhile: a start or an end with little of one CPU takes long on a busy host.
      await light.update?.({ ...NONE, cpusetCpus: '0', cpuShares: 128 });
      await heavy.update?.({ ...NONE, cpusetCpus: '0', cpuShares: 2048 });
      const [most = 0, least = 1] = await cpuShares([heavy, light], 1000);
      const free = { ...NONE, cpusetCpus: `0-${availableParallelism() - 1}`, cpuShares: 1024 };
      await Promise.all([heavy, light].map((instance) => instance.update?.(free)));
      assert.ok(most >= least * 4, `${most} against ${least} of a CPU, at 16 to 1`);
    },
  ],
  [
    'fills nobody else’s process table',
    async (scene) => {
      const other = await neighbour(scene);
      const bomb = 'echo ready; while :; do sleep 1000 & done; exec sleep 1000';
      const hog = await running(scene, ['sh', '-c', `(${bomb}); exec sleep 1000`], {
        resources: { pidsLimit: 12 },
      });
      const stats = await hog.stats?.();
      assert.ok(stats && stats.pids.current <= 12, `${stats?.pids.current} processes`);
      await timed(other, 'true & true & true & wait');
    },
  ],
  [
    'reads and writes no faster than its disk limits, until they are lifted',
    async (scene) => {
      await using disk = await scene.fixture.openDisk();
      const rate = (value: number) => [{ path: disk.path, value }];
      const resources = { ...NONE, deviceReadBps: rate(BYTES), deviceWriteBps: rate(BYTES) };
      const instance = await running(scene, ['sh', '-c', 'echo ready; exec sleep 1000'], {
        ...disk.change,
        resources,
      });
      const { write, read, writeOften } = disk;
      const least = 1 / TOLERANCE;
      const limited = [await timed(instance, write), await timed(instance, read)];
      assert.ok(Math.min(...limited) >= least, `${limited} s for what takes 1 s at the limit`);
      await instance.update?.({ ...NONE, deviceWriteIops: rate(16) });
      const counted = await timed(instance, writeOften);
      assert.ok(counted >= least, `${counted} s for as many writes as 1 s allows`);
      await instance.update?.(NONE);
      const free = [await timed(instance, write), await timed(instance, read)];
      assert.ok(Math.max(...free) < least, `${free} s without limits`);
    },
  ],
  [
    'refuses limits of what is no disk, and keeps those it has',
    async (scene) => {
      const limits = { ...NONE, pidsLimit: 20 };
      const instance = await running(scene, ['sh', '-c', 'echo ready; exec sleep 1000'], {
        resources: limits,
      });
      const wrong = { ...limits, pidsLimit: 30, deviceReadBps: [{ path: '/dev/null', value: 1 }] };
      const refused = (error: unknown) => isBerthError(error, 'invalid-argument');
      await assert.rejects(instance.update?.(wrong) ?? Promise.resolve(), refused);
      assert.equal((await instance.stats?.())?.pids.limit, 20);
      await assert.rejects(scene.bench.create(scene.driver, ['true'], { resources: wrong }), refused);
    },
  ],
  [
    'cannot be given less memory than it uses, and keeps all its limits then',
    async (scene) => {
      const hold = 'mkdir -p /m; dd if=/dev/zero of=/m/x bs=1M count=120; echo ready; exec sleep 1000';
      const instance = await running(scene, ['sh', '-c', hold], {
        mounts: [{ type: 'tmpfs', target: '/m', readonly: false, options: [] }],
        resources: { memoryBytes: 256 << 20, pidsLimit: 20 },
      });
      const before = await instance.stats?.();
      const wanted = { ...NONE, memoryBytes: 100 << 20, pidsLimit: 30 };
      await assert.rejects(instance.update?.(wanted) ?? Promise.resolve(), (error) =>
        isBerthError(error, 'conflict'),
      );
      const after = await instance.stats?.();
      assert.deepEqual([after?.memory.limitBytes, after?.pids.limit], [before?.memory.limitBytes, 20]);
      assert.equal((await instance.state()).state, 'running');
    },
  ],
];
