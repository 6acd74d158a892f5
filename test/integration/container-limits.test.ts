// Limits reach the kernel, one by one and many at a time.

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { cgroupHost } from '../../src/host/cgroup.ts';
import { cgroupFile, openLab } from '../fixtures/container.ts';

const NO_LIMITS = { ulimits: [], shmBytes: 64 << 20, oomKillDisable: false };

describe('a container’s limits', {
  skip: cgroupHost().version === 1 ? false : 'written for cgroup version 1',
}, () => {
  it('are in its cgroup', async () => {
    await using lab = await openLab();
    const resources = {
      ...NO_LIMITS,
      memoryBytes: 128 << 20,
      memorySwapBytes: 256 << 20,
      memoryReservationBytes: 64 << 20,
      cpus: 0.5,
      cpuShares: 512,
      cpusetCpus: '0',
      pidsLimit: 33,
    };
    const spec = await lab.bench.spec(['sleep', '1000'], { resources });
    const instance = lab.bench.own(await lab.driver.create(spec));
    await instance.start();
    const values = await Promise.all([
      cgroupFile(spec, 'memory', 'memory.limit_in_bytes'),
      cgroupFile(spec, 'memory', 'memory.soft_limit_in_bytes'),
      cgroupFile(spec, 'cpu', 'cpu.cfs_quota_us'),
      cgroupFile(spec, 'cpu', 'cpu.shares'),
      cgroupFile(spec, 'cpuset', 'cpuset.cpus'),
      cgroupFile(spec, 'pids', 'pids.max'),
    ]);
    assert.deepEqual(values, [`${128 << 20}`, `${64 << 20}`, '50000', '512', '0', '33']);
  });

  it('weigh disk access where a scheduler does, and are left out where none does', async (t) => {
    await using lab = await openLab();
    const spec = await lab.bench.spec(['sleep', '1000'], { resources: { ...NO_LIMITS, blkioWeight: 300 } });
    const instance = lab.bench.own(await lab.driver.create(spec));
    await instance.start();
    const weight = () => cgroupFile(spec, 'blkio', 'blkio.bfq.weight').catch(() => undefined);
    if ((await weight()) === undefined) return t.skip('this kernel has no BFQ');
    assert.equal(await weight(), '300');
    await instance.update?.({ ...NO_LIMITS, blkioWeight: 500 });
    assert.equal(await weight(), '500');
  });

  it('stop a fork bomb', async () => {
    await using lab = await openLab();
    const script = 'for i in 1 2 3 4 5 6 7 8; do sleep 0.2 & done 2>&1 | grep -c fork; true';
    const { status, stderr, stdout } = await lab.bench.run(lab.driver, ['sh', '-c', script], {
      resources: { ...NO_LIMITS, pidsLimit: 5 },
    });
    assert.ok(
      status.code !== 0 || /fork/.test(stderr) || stdout.trim() !== '0',
      JSON.stringify([status, stdout, stderr]),
    );
  });

  it('are never raised above the host’s', async () => {
    await using lab = await openLab();
    const ulimits = [
      { name: 'nofile', soft: 99, hard: 10_000_000 },
      { name: 'core', soft: 0, hard: 0 },
    ];
    const { stdout } = await lab.bench.run(lab.driver, ['sh', '-c', 'ulimit -n; ulimit -c'], {
      resources: { ...NO_LIMITS, ulimits },
    });
    assert.equal(stdout, '99\n0\n');
  });

  it('hold for shared memory', async () => {
    await using lab = await openLab();
    const { stdout } = await lab.bench.run(lab.driver, ['sh', '-c', 'df -k /dev/shm | tail -1'], {
      resources: { ...NO_LIMITS, shmBytes: 1 << 20 },
    });
    assert.match(stdout, /\b1024\b/);
  });
});

describe('many containers', () => {
  it('start, run and end at the same time, and leave nothing', async () => {
    await using lab = await openLab();
    const outcomes = await Promise.all(
      Array.from({ length: 20 }, (_, number) =>
        lab.bench.run(lab.driver, ['sh', '-c', `echo ${number}; exit ${number}`]),
      ),
    );
    assert.deepEqual(
      outcomes.map(({ status, stdout }) => [status.code, stdout]),
      Array.from({ length: 20 }, (_, number) => [number, `${number}\n`]),
    );
    await Promise.all(outcomes.map(({ instance }) => instance.remove()));
    assert.deepEqual(lab.leftovers(), []);
  });
});
