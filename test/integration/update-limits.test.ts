// POST /containers/{id}/update of a whole daemon: what holds at once, what holds later, what is refused.

import assert from 'node:assert/strict';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { type ApiDaemon, startApiDaemon } from '../fixtures/api-daemon.ts';
import { type LoopDisk, openLoopDisk } from '../fixtures/loop-disk.ts';

interface Inspect {
  readonly HostConfig: Readonly<Record<string, unknown>>;
}

/** Without templates of machines, which would be made beside the tests and beyond their end. */
const HOST = { NetworkMode: 'none', Annotations: { 'berth.boot': 'cold' } };

let daemon: ApiDaemon;
let disk: LoopDisk;

/** Let go of in reverse order, each whatever becomes of the other. */
const made = new AsyncDisposableStack();

before(async () => {
  disk = made.use(await openLoopDisk());
  daemon = made.use(await startApiDaemon());
});
after(() => made.disposeAsync());

async function run(name: string, host: object): Promise<void> {
  const body = { Image: 'busybox', Cmd: ['sleep', '1000'], HostConfig: { ...HOST, ...host } };
  const created = await daemon.call('POST', `/containers/create?name=${name}`, { body });
  assert.equal(created.status, 201, created.text);
  assert.equal((await daemon.call('POST', `/containers/${name}/start`)).status, 204);
}

const update = (name: string, body: object) => daemon.call('POST', `/containers/${name}/update`, { body });
const config = async (name: string) =>
  (await daemon.call('GET', `/containers/${name}/json`)).json<Inspect>().HostConfig;
const limits = async (name: string) => {
  const stats = (await daemon.call('GET', `/containers/${name}/stats?stream=0&one-shot=1`)).json<{
    memory_stats: { limit: number };
    pids_stats: { limit?: number };
  }>();
  return [stats.memory_stats.limit >> 20, stats.pids_stats.limit];
};

for (const isolation of ['container', 'vm'] as const)
  describe(`an update of a ${isolation}`, () => {
    const name = `updated-${isolation}`;

    before(() => run(name, { Isolation: isolation, Memory: 256 << 20, PidsLimit: 50 }));

    test('holds at once, in both directions, and is what inspect shows', async () => {
      const rate = [{ Path: disk.path, Rate: 1 << 20 }];
      const lower = { Memory: 128 << 20, PidsLimit: 20, NanoCpus: 5e8, BlkioDeviceWriteBps: rate };
      assert.equal((await update(name, lower)).status, 200);
      assert.deepEqual(await limits(name), [128, 20]);
      const shown = await config(name);
      assert.deepEqual([shown['NanoCpus'], shown['BlkioDeviceWriteBps']], [5e8, rate]);
      assert.equal((await update(name, { Memory: 256 << 20, PidsLimit: -1 })).status, 200);
      assert.deepEqual(await limits(name), [256, undefined]);
    });

    test('speaks of single disks, and lifts a limit by 0', async () => {
      const reads = [{ Path: disk.path, Rate: 100 }];
      assert.equal((await update(name, { BlkioDeviceReadIOps: reads })).status, 200);
      const lifted = [{ Path: disk.path, Rate: 0 }];
      assert.equal((await update(name, { BlkioDeviceWriteBps: lifted })).status, 200);
      const shown = await config(name);
      assert.deepEqual([shown['BlkioDeviceReadIOps'], shown['BlkioDeviceWriteBps']], [reads, []]);
    });

    test('is refused as a whole when a part of it is wrong', async () => {
      const before = [await config(name), await limits(name)];
      for (const wrong of [
        { BlkioDeviceReadBps: [{ Path: '/dev/null', Rate: 1 }] },
        { BlkioDeviceReadBps: [{ Path: '/dev/no-such-disk', Rate: 1 }] },
        { BlkioDeviceReadBps: [{ Path: disk.path, Rate: -1 }] },
        { NanoCpus: 1e15 },
        { Memory: 1 },
        { CpusetCpus: '9999' },
      ]) {
        const answer = await update(name, { PidsLimit: 7, ...wrong });
        assert.equal(answer.status, 400, `${JSON.stringify(wrong)}: ${answer.text}`);
      }
      assert.deepEqual([await config(name), await limits(name)], before);
    });

    test('outlives the run and the daemon', async () => {
      assert.equal((await update(name, { PidsLimit: 33, Memory: 200 << 20 })).status, 200);
      await daemon.restart('SIGKILL');
      assert.deepEqual(await limits(name), [200, 33]);
      assert.equal((await daemon.call('POST', `/containers/${name}/restart?t=0`)).status, 204);
      assert.deepEqual(await limits(name), [200, 33]);
    });
  });

for (const name of ['updated-container', 'updated-vm'])
  test(`a change that the daemon died in is finished by the next one (${name})`, async () => {
    const { Id } = (await daemon.call('GET', `/containers/${name}/json`)).json<{ Id: string }>();
    const path = join(daemon.root, 'workloads', Id, 'record.json');
    await daemon.restart('SIGKILL', async () => {
      const record = JSON.parse(await readFile(path, 'utf8'));
      record.changing = { ...record.spec.resources, pidsLimit: 44 };
      await writeFile(path, JSON.stringify(record));
    });
    // A further change waits for it.
    assert.equal((await update(name, { MemoryReservation: 100 << 20 })).status, 200);
    assert.deepEqual((await limits(name))[1], 44);
    assert.equal((await config(name))['PidsLimit'], 44);
    assert.equal(JSON.parse(await readFile(path, 'utf8')).changing, undefined);
  });

test('a running machine is refused more than it was started with, and told what to do', async () => {
  for (const more of [{ Memory: 512 << 20 }, { NanoCpus: 2e9 }]) {
    const { status, text } = await update('updated-vm', more);
    assert.deepEqual([status, /stop it, update it, start it/.test(text)], [501, true], text);
  }
  await daemon.call('POST', '/containers/updated-vm/stop?t=0');
  assert.equal((await update('updated-vm', { Memory: 300 << 20 })).status, 200);
  await daemon.call('POST', '/containers/updated-vm/start');
  assert.deepEqual((await limits('updated-vm'))[0], 300);
});
