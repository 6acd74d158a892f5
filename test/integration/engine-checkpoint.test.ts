// Needs root, QEMU, the guest kernel and the built programs: checkpoints and forks of real machines, their daemon killed.
import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, afterEach, before, describe, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import type { ExitStatus, WorkloadView } from '../../src/core/index.ts';
import type { Checkpoint } from '../../src/engine/index.ts';
import { folderIs, shell } from '../fixtures/engine.ts';
import { EngineClient } from '../fixtures/engine-client.ts';
import { findLeaks } from '../fixtures/engine-leaks.ts';

const COUNTER = 'i=0; while :; do i=$((i+1)); echo tick $i; sleep 0.1; done';

describe('checkpoints and forks of workloads', { timeout: 300_000 }, () => {
  let root: string;
  let client: EngineClient;
  before(async () => {
    root = await mkdtemp(join(tmpdir(), 'berth-checkpoint-'));
    client = await EngineClient.start(root);
    await client.call('images.createBase', { kind: 'busybox', packages: [] });
  });
  afterEach(() => removeAll());
  after(async () => {
    await client.close();
    await rm(root, { recursive: true, force: true });
  });

  const start = async (name: string, text: string, change = {}) => {
    await client.call(
      'workloads.create',
      { ...shell(text, { isolation: 'vm', ...change }), image: 'busybox' },
      name,
    );
    await client.call('workloads.start', name);
  };
  const list = async () =>
    (await client.call<WorkloadView[]>('workloads.list')).map(({ name }) => name).sort();
  const checkpoints = () => client.call<Checkpoint[]>('checkpoints.list');
  const removeAll = async () => {
    for (const { id } of await client.call<WorkloadView[]>('workloads.list'))
      await client.call('workloads.remove', id, { force: true, volumes: true });
    for (const { id } of await checkpoints()) await client.call('checkpoints.remove', id);
  };

  test('forks are workloads of their own: name, host name, log, end and next start', async () => {
    await start('web', `hostname; ${COUNTER}`, { labels: { tier: 'front' } });
    await client.call('firstLine', 'web', 'tick');
    const { ids, pauseMs } = await client.call<{ ids: string[]; pauseMs: number }>(
      'checkpoints.fork',
      'web',
      { count: 3 },
    );
    assert.ok(pauseMs > 0 && pauseMs < 1000, `${pauseMs} ms`);
    assert.deepEqual(await list(), ['web', 'web-1', 'web-2', 'web-3']);
    for (const id of ids) {
      const view = await client.call<WorkloadView>('workloads.get', id);
      assert.equal(view.state, 'running');
      assert.deepEqual(view.labels, { tier: 'front' });
      assert.equal(await client.call('exec', id, ['hostname']), `${id.slice(0, 12)}\n`);
    }
    const first = await client.call<string>('firstLine', 'web-2');
    assert.match(first, /^tick \d+\n$/, 'its log begins with what it said itself');
    await client.call('workloads.kill', 'web-1');
    assert.equal((await client.call<ExitStatus>('workloads.wait', 'web-1', 'not-running')).code, 137);
    // The next start is an ordinary one, and begins at the beginning.
    await client.call('workloads.start', 'web-1');
    const own = `${ids[0]?.slice(0, 12)}\n`;
    assert.equal(await client.call<string>('firstLine', 'web-1', ids[0]?.slice(0, 12)), own);
    assert.deepEqual((await client.call<WorkloadView>('workloads.get', 'web')).state, 'running');
  });

  test('a checkpoint outlives its workload and the daemon, keeps its image, and is restored by name', async () => {
    await start('source', COUNTER);
    const kept = await client.call<Checkpoint>('checkpoints.create', 'source', { name: 'ready' });
    assert.equal(kept.workloadName, 'source');
    await assert.rejects(
      client.call('checkpoints.create', 'source', { name: 'ready' }),
      /ready exists already/,
    );
    await client.call('workloads.remove', 'source', { force: true, volumes: true });
    await client.kill();
    client = await EngineClient.start(root);
    assert.deepEqual(await checkpoints(), [kept]);
    const ids = await client.call<string[]>('checkpoints.restore', 'ready', { count: 2, name: 'copy' });
    assert.deepEqual(await list(), ['copy-1', 'copy-2']);
    assert.equal(ids.length, 2);
    assert.match(await client.call<string>('firstLine', 'copy-2'), /^tick \d+\n$/);
    await client.call('checkpoints.remove', 'ready');
    assert.deepEqual(await checkpoints(), []);
    assert.equal((await client.call<WorkloadView>('workloads.get', 'copy-1')).state, 'running');
  });

  test('what cannot be done is refused by name, and nothing is left of it', async () => {
    await start('vm', 'sleep 600');
    await client.call('workloads.create', { ...shell('sleep 600'), image: 'busybox' }, 'box');
    await client.call('workloads.start', 'box');
    const refusals: [string, unknown[], RegExp][] = [
      ['checkpoints.fork', ['box'], /box cannot be captured.*--isolation vm.*berth commit.*berth pause/],
      ['checkpoints.create', ['nobody'], /No such container: nobody/],
      ['checkpoints.restore', ['nothing'], /No such checkpoint: nothing/],
      ['checkpoints.fork', ['vm', { count: 0 }], /0 copies cannot be made/],
      ['checkpoints.fork', ['vm', { count: 1000 }], /1000 copies cannot be made/],
      ['checkpoints.fork', ['vm', { name: 'box' }], /name "\/box" is already in use/],
      ['checkpoints.fork', ['vm', { name: 'no good' }], /no good/],
    ];
    for (const [call, args, message] of refusals) await assert.rejects(client.call(call, ...args), message);
    assert.deepEqual(await list(), ['box', 'vm']);
    await client.call('workloads.kill', 'vm');
    await client.call('workloads.wait', 'vm', 'not-running');
    await assert.rejects(client.call('checkpoints.create', 'vm'), /is not running/);
  });

  test('a fork whose source ends meanwhile says so, or is made', async () => {
    for (let round = 0; round < 3; round++) {
      await start('brief', 'sleep 600');
      const { id } = await client.call<WorkloadView>('workloads.get', 'brief');
      const forked = client.call('checkpoints.fork', 'brief', { count: 3 }).catch((error: unknown) => error);
      await folderIs(join(root, 'workloads', id), (names) => names.includes('memory'));
      await client.call('workloads.kill', 'brief');
      const error = await forked;
      if (error instanceof Error) assert.match(error.message, /^brief has ended while it was forked$/);
      await removeAll();
    }
  });

  test('a daemon killed while it forks, saves or restores leaves nothing half made and loses nothing it said was kept', async () => {
    await start('source', COUNTER);
    const { name } = await client.call<Checkpoint>('checkpoints.create', 'source', { name: 'kept' });
    for (const [round, wait] of [20, 80, 150, 250, 400, 600].entries()) {
      const work = Promise.allSettled([
        client.call('checkpoints.fork', 'source', { count: 2, name: `f${round}` }),
        client.call('checkpoints.create', 'source', { name: `c${round}` }),
        client.call('checkpoints.restore', name, { name: `r${round}` }),
      ]);
      await delay(wait);
      await client.kill();
      const [forked, saved, restored] = await work;
      client = await EngineClient.start(root);
      const names = await list();
      const saves = (await checkpoints()).map((checkpoint) => checkpoint.name);
      assert.ok(names.includes('source') && saves.includes('kept'));
      if (forked.status === 'fulfilled')
        assert.ok(names.includes(`f${round}-1`) && names.includes(`f${round}-2`));
      if (saved.status === 'fulfilled') assert.ok(saves.includes(`c${round}`));
      if (restored.status === 'fulfilled') assert.ok(names.includes(`r${round}`));
      for (const view of await client.call<WorkloadView[]>('workloads.list'))
        assert.equal(view.state, 'running', view.name);
      for (const other of names.filter((one) => one !== 'source'))
        await client.call('workloads.remove', other, { force: true, volumes: true });
    }
    assert.match(await client.call('exec', 'source', ['echo', 'well']), /well/);
    await removeAll();
    await client.close();
    // What the last daemon was deleting when it went, the next one deletes.
    await (await EngineClient.start(root)).close();
    assert.deepEqual(await findLeaks(root), []);
    client = await EngineClient.start(root);
  });
});
