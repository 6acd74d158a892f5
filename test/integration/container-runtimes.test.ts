// The second OCI runtime does what the first does.

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { BerthError } from '../../src/core/index.ts';
import { createContainerDriver } from '../../src/drivers/container/index.ts';
import { collect } from '../conformance/fixture.ts';
import { openLab } from '../fixtures/container.ts';

describe('crun', () => {
  it('is preferred, and takes compiled filters', async () => {
    await using lab = await openLab();
    const probe = await lab.driver.probe();
    assert.match(probe.facts['runtime'] ?? '', /^crun/, JSON.stringify(probe));
    assert.ok(
      probe.probes.every((entry) => entry.ok),
      JSON.stringify(probe),
    );
  });
});

describe('runc', () => {
  it('is probed by running a container and then runs them', async () => {
    await using lab = await openLab('runc');
    const probe = await lab.driver.probe();
    assert.equal(probe.usable, true, JSON.stringify(probe));
    assert.match(probe.facts['runtime'] ?? '', /^runc/);
    const { status, stdout } = await lab.bench.run(
      lab.driver,
      ['sh', '-c', 'hostname; grep Seccomp: /proc/self/status; exit 7'],
      {
        hostname: 'r',
      },
    );
    assert.equal(status.code, 7);
    assert.match(stdout, /^r\nSeccomp:\s+2\n$/);
  });

  it('executes, gives terminals and tells what cannot be executed', async () => {
    await using lab = await openLab('runc');
    const instance = await lab.bench.create(lab.driver, ['sleep', '1000']);
    await instance.start();
    const spec = (await lab.bench.spec([])).process;
    const shell = await instance.exec?.run(
      { ...spec, args: ['sh', '-c', 'stty size; exit 5'], tty: true },
      { rows: 22, columns: 66 },
    );
    assert.ok(shell);
    assert.equal((await collect(shell, true)).stdout, '22 66\r\n');
    assert.equal((await shell.exit).code, 5);
    for (const [command, exitStatus] of [
      ['no-such-command', 127],
      ['/bin/not-executable', 126],
    ] as const) {
      const failing = await lab.bench.create(lab.driver, [command]);
      await assert.rejects(
        failing.start(),
        (error) => error instanceof BerthError && error.exitStatus === exitStatus,
      );
      await failing.remove();
    }
    await instance.kill(9);
    await instance.wait();
    await instance.remove();
    assert.deepEqual(lab.leftovers(), []);
  });
});

describe('a host whose runtimes run nothing', () => {
  it('is told why, and what to do', async () => {
    const driver = createContainerDriver({ shimPath: '/nonexistent/berth-shim', stateDir: '/nonexistent' });
    const { usable, probes } = await driver.probe();
    assert.equal(usable, false);
    assert.deepEqual(
      probes.map(({ name }) => name),
      ['crun', 'runc'],
    );
    for (const { ok, detail, remedy } of probes) {
      assert.equal(ok, false);
      assert.match(detail ?? '', /no such file or directory.*berth-shim/);
      assert.match(remedy ?? '', /^run Berth as root/);
    }
  });
});

for (const runtime of ['crun', 'runc'] as const)
  it(`${runtime} shares the host's queues and shared memory, whether the host has its queues mounted or not`, async () => {
    await using lab = await openLab(runtime);
    const host = { ipc: 'host' } as const;
    const made = await lab.bench.run(
      lab.driver,
      ['touch', '/dev/mqueue/berth-test', '/dev/shm/berth-test'],
      host,
    );
    assert.deepEqual([made.status.code, made.stderr], [0, '']);
    const apart = await lab.bench.run(lab.driver, ['ls', '/dev/mqueue', '/dev/shm']);
    assert.doesNotMatch(apart.stdout, /berth-test/);
    const taken = await lab.bench.run(
      lab.driver,
      ['rm', '/dev/mqueue/berth-test', '/dev/shm/berth-test'],
      host,
    );
    assert.deepEqual([taken.status.code, taken.stderr], [0, '']);
  });
