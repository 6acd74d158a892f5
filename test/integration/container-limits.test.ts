// Limits reach the kernel, one by one and many at a time.

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { cgroupHost } from '../../src/host/cgroup.ts';
import { cgroupFile, openLab } from '../fixtures/container.ts';

const NO_LIMITS = { ulimits: [], shmBytes: 64 << 20, oomKillDisable: false };

/** Files and what is in them. */
const LIMITED: Readonly<
  Record<1 | 2, readonly (readonly [controller: string, file: string, text: string])[]>
> = {
  1: [
    ['memory', 'memory.limit_in_bytes', `${128 << 20}`],
    ['memory', 'memory.soft_limit_in_bytes', `${64 << 20}`],
    ['cpu', 'cpu.cfs_quota_us', '50000'],
    ['cpu', 'cpu.shares', '512'],
    ['cpuset', 'cpuset.cpus', '0'],
    ['pids', 'pids.max', '33'],
  ],
  2: [
    ['memory', 'memory.max', `${128 << 20}`],
    ['memory', 'memory.low', `${64 << 20}`],
    ['cpu', 'cpu.max', '50000 100000'],
    ['cpu', 'cpu.weight', '20'],
    ['cpuset', 'cpuset.cpus', '0'],
    ['pids', 'pids.max', '33'],
  ],
};

describe('a container’s limits', () => {
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
    const wanted = LIMITED[cgroupHost().version];
    const values = await Promise.all(wanted.map(([controller, file]) => cgroupFile(spec, controller, file)));
    assert.deepEqual(
      values,
      wanted.map(([, , text]) => text),
    );
  });

  it('weigh disk access where a scheduler does, and are left out where none does', async (t) => {
    await using lab = await openLab();
    const spec = await lab.bench.spec(['sleep', '1000'], { resources: { ...NO_LIMITS, blkioWeight: 300 } });
    const instance = lab.bench.own(await lab.driver.create(spec));
    await instance.start();
    const [controller, file] =
      cgroupHost().version === 1 ? ['blkio', 'blkio.bfq.weight'] : ['io', 'io.bfq.weight'];
    // Version 2 has one for all disks and one for each.
    const weight = async () =>
      (await cgroupFile(spec, controller, file).catch(() => undefined))?.replace(/^default /, '');
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
