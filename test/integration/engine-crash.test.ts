// Needs root, crun, QEMU, the guest kernel and the built programs: the daemon is killed, the workloads are real.
import assert from 'node:assert/strict';
import { mkdtemp, readFile, rename, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import type { ExitStatus, WorkloadSpec, WorkloadView } from '../../src/core/index.ts';
import type { LogEntry } from '../../src/engine/index.ts';
import { shell } from '../fixtures/engine.ts';
import { EngineClient } from '../fixtures/engine-client.ts';
import { findLeaks } from '../fixtures/engine-leaks.ts';

interface Daemon {
  readonly root: string;
  client: EngineClient;
  /** Kills it without a word and starts the next. */
  crash(): Promise<void>;
}

async function startDaemon(t: TestContext): Promise<Daemon> {
  const root = await mkdtemp(join(tmpdir(), 'berth-crash-'));
  const daemon: Daemon = {
    root,
    client: await EngineClient.start(root),
    crash: async () => {
      await daemon.client.kill();
      daemon.client = await EngineClient.start(root);
    },
  };
  t.after(async () => {
    await removeAll(daemon.client).catch(() => {});
    await daemon.client.close();
    await rm(root, { recursive: true, force: true });
  });
  await daemon.client.call('images.createBase', { kind: 'busybox', packages: [] });
  return daemon;
}

const script = (text: string, change: Partial<WorkloadSpec> = {}) => ({
  ...shell(text, change),
  image: 'busybox',
});

async function removeAll(client: EngineClient): Promise<void> {
  for (const { id } of await client.call<WorkloadView[]>('workloads.list'))
    await client.call('workloads.remove', id, { force: true, volumes: true }).catch((error: Error) => {
      // One that removes itself may be faster.
      if (!/No such container|already in progress/.test(error.message)) throw error;
    });
  await client.call('volumes.prune', { all: true });
}

/** After everything is removed and the daemon has gone. */
async function assertNoLeaks({ root, client }: Daemon): Promise<void> {
  await removeAll(client);
  await client.close();
  // What the daemon was deleting when it went, the next one deletes.
  const last = await EngineClient.start(root);
  await last.close();
  assert.deepEqual(await findLeaks(root), []);
}

for (const isolation of ['container', 'vm'] as const)
  test(`${isolation}: workloads outlive a killed daemon, their logs are whole, their ends known`, async (t) => {
    const daemon = await startDaemon(t);
    const count = 'i=0; while [ $i -lt 200 ]; do echo line $i; i=$((i+1)); sleep 0.01; done; exit 7';
    const { client } = daemon;
    const scripts = { long: count, short: 'sleep 0.2; exit 5', idle: 'exec sleep 600' };
    await Promise.all(
      Object.entries(scripts).map(async ([name, text]) => {
        await client.call('workloads.create', script(text, { isolation }), name);
        await client.call('workloads.start', name);
      }),
    );
    const before = await client.call<WorkloadView>('workloads.get', 'idle');
    await daemon.crash();
    const after = await daemon.client.call<WorkloadView>('workloads.get', 'idle');
    assert.deepEqual(after, before);
    const exit = await daemon.client.call<ExitStatus>('workloads.wait', 'long', 'not-running');
    assert.equal(exit.code, 7);
    const log = await daemon.client.call<LogEntry[]>('log', 'long');
    assert.deepEqual(
      log.map(({ line }) => line),
      Array.from({ length: 200 }, (_, number) => `line ${number}\n`),
    );
    const ended = async () => await daemon.client.call<ExitStatus>('workloads.wait', 'short', 'not-running');
    assert.equal((await ended()).code, 5);
    await daemon.client.call('workloads.stop', 'idle', { timeoutSeconds: 0 });
    await daemon.client.call('workloads.start', 'short');
    assert.equal((await ended()).code, 5);
    await assertNoLeaks(daemon);
  });

test('whatever the daemon was doing when it was killed, the next one finishes or undoes, and nothing leaks', async (t) => {
  const daemon = await startDaemon(t);
  for (let round = 0; round < 8; round++) {
    const { client } = daemon;
    const names = Array.from({ length: 6 }, (_, number) => `r${round}-${number}`);
    const mounts = [{ type: 'volume', target: '/v', readonly: false, noCopy: false } as const];
    const work = [
      client.call('run', script('exit 0', { autoRemove: true }), names[0]),
      client.call('run', script('echo x', { autoRemove: true, mounts }), names[1]),
      client.call('workloads.create', script('exit 1'), names[2]),
      client
        .call('workloads.create', script('sleep 600'), names[3])
        .then(() => client.call('workloads.start', names[3])),
      client
        .call('workloads.create', script('sleep 600', { mounts }), names[4])
        .then(() => client.call('workloads.start', names[4]))
        .then(() => client.call('workloads.remove', names[4], { force: true, volumes: true })),
    ];
    if (round % 3 === 2)
      work.push(client.call('run', script('exit 0', { isolation: 'vm', autoRemove: true }), names[5]));
    const settled = Promise.allSettled(work);
    await delay(round * 25);
    await daemon.crash();
    await settled;
    const views = await daemon.client.call<WorkloadView[]>('workloads.list');
    for (const { name, state } of views) assert.notEqual(state, 'unknown', name);
    if (round % 3 === 2) await removeAll(daemon.client);
  }
  await assertNoLeaks(daemon);
});

test('a daemon that ends right after its start leaves nothing half made, though a supervisor is stuck', async (t) => {
  const { root, client } = await startDaemon(t);
  const halves = ['container', 'vm'] as const;
  const supervisors = await Promise.all(
    halves.map(async (isolation) => {
      const { id } = await client.call<{ id: string }>(
        'workloads.create',
        script('sleep 600', { isolation }),
      );
      await client.call('workloads.start', id);
      const dir = join(root, 'workloads', id);
      return { dir, pid: Number((await readFile(join(dir, 'shim.pid'), 'utf8')).split(' ')[0]) };
    }),
  );
  await client.kill();
  for (const { dir } of supervisors) await rename(join(dir, 'record.json'), join(dir, 'creating.json'));
  process.kill(supervisors[0]?.pid ?? 0, 'SIGSTOP');
  await (await EngineClient.start(root)).close();
  assert.deepEqual(await findLeaks(root), []);
});
