// Containers in control groups as this kernel has them: statistics, pause, death for want of memory, supervisors.

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { cgroupHost } from '../../../src/host/cgroup.ts';
import { cgroupFile, type Lab, openLab } from '../../fixtures/container.ts';
import '../../integration/supervisor-group.test.ts';

describe('a container on cgroup version 2', () => {
  let lab: Lab;
  before(async () => {
    assert.equal(cgroupHost().version, 2);
    lab = await openLab();
  });
  after(() => lab[Symbol.asyncDispose]());

  const running = async () => {
    const spec = await lab.bench.spec(['sh', '-c', 'while :; do sleep 0.1; done']);
    const instance = lab.bench.own(await lab.driver.create(spec));
    await instance.start();
    return { spec, instance };
  };

  test('is paused and goes on, however quickly one follows the other', async () => {
    const { spec, instance } = await running();
    const { pausing } = instance;
    assert.ok(pausing);
    const frozen = async () => /^frozen 1$/m.test(await cgroupFile(spec, 'pids', 'cgroup.events'));
    for (let round = 0; round < 25; round++) {
      await pausing.pause();
      assert.ok(await frozen());
      await pausing.resume();
      assert.ok(!(await frozen()));
    }
  });

  test('tells its memory, processor time, processes and pressure', async () => {
    const { instance } = await running();
    const stats = await instance.stats?.();
    assert.ok(stats && stats.memory.usageBytes > 0 && stats.cpu.totalNs > 0 && stats.pids.current >= 1);
    assert.ok(stats.pressure !== undefined);
  });

  test('is told to have died for want of memory, and nobody else does', async () => {
    const { instance: other } = await running();
    const bytes = 32 << 20;
    const { status } = await lab.bench.run(
      lab.driver,
      ['dd', 'if=/dev/zero', 'of=/dev/null', 'bs=200M', 'count=1'],
      {
        resources: { memoryBytes: bytes, memorySwapBytes: bytes },
      },
    );
    assert.equal(status.oomKilled, true);
    assert.equal((await other.state()).state, 'running');
  });
});
