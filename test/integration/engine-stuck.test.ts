// Needs root, crun, QEMU, the guest kernel and the built programs. Supervisors and machines are stopped by SIGSTOP: as whoever
// hangs in the kernel, or was made to hang by what runs inside, they answer nothing and live on.
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import type { Isolation, WorkloadView } from '../../src/core/index.ts';
import { shell } from '../fixtures/engine.ts';
import { EngineClient } from '../fixtures/engine-client.ts';
import { findLeaks } from '../fixtures/engine-leaks.ts';
import { seedVmCache } from '../fixtures/vm-cache.ts';

let root: string;
let client: EngineClient;

before(async () => {
  root = await mkdtemp(join(tmpdir(), 'berth-stuck-'));
  await seedVmCache(join(root, 'vm'));
  client = await EngineClient.start(root);
  await client.call('images.createBase', { kind: 'busybox', packages: [] });
});

after(async () => {
  for (const { id } of await client.call<WorkloadView[]>('workloads.list'))
    await client.call('workloads.remove', id, { force: true, volumes: true });
  await client.close();
  const last = await EngineClient.start(root);
  await last.close();
  assert.deepEqual(await findLeaks(root), []);
  await rm(root, { recursive: true, force: true });
});

async function startSleeper(name: string, isolation: Isolation): Promise<string> {
  const { id } = await client.call<{ id: string }>(
    'workloads.create',
    shell('exec sleep 600', { isolation, image: 'busybox', networkMode: 'bridge' }),
    name,
  );
  await client.call('workloads.start', name);
  return id;
}

async function supervisorOf(id: string): Promise<number> {
  return Number((await readFile(join(root, 'workloads', id, 'shim.pid'), 'utf8')).split(' ')[0]);
}

async function restartDaemon(): Promise<number> {
  await client.kill();
  const begin = performance.now();
  client = await EngineClient.start(root);
  return performance.now() - begin;
}

const viewOf = (name: string) => client.call<WorkloadView>('workloads.get', name);

async function timed(work: Promise<unknown>): Promise<number> {
  const begin = performance.now();
  await work;
  return (performance.now() - begin) / 1000;
}

/** Process to time and Node's own start-up on a busy host come on top of the second that supervisors are given. */
const LISTEN_LIMIT_MS = 6_000;

test('a daemon is there at once though supervisors are stuck, and takes them over when they answer', async () => {
  const names = ['wa', 'wb', 'wc', 'wd', 'we', 'wf'];
  const ids = await Promise.all(names.map((name) => startSleeper(name, 'container')));
  const stuck = await Promise.all(ids.slice(0, 3).map(supervisorOf));
  const before = await viewOf('wa');
  for (const pid of stuck) process.kill(pid, 'SIGSTOP');
  assert.ok((await restartDaemon()) < LISTEN_LIMIT_MS);
  assert.equal((await viewOf('wf')).state, 'running');
  const told = await viewOf('wa');
  assert.equal(told.state, 'unknown');
  assert.match(told.stateReason ?? '', /supervisor has not answered/);
  assert.deepEqual(told.endpoints, before.endpoints);
  await assert.rejects(startSleeper('wa', 'container'), { code: 'conflict' });
  process.kill(stuck[0] ?? 0, 'SIGCONT');
  // A request waits for the workload that is being taken over.
  assert.equal(await client.call('exec', 'wa', ['echo', 'here']), 'here\n');
  assert.deepEqual(await viewOf('wa'), before);
  await client.call('workloads.remove', 'wb', { force: true, volumes: true });
  assert.equal(existsSync(`/proc/${stuck[1]}`), false);
  await client.call('workloads.stop', 'wc', { timeoutSeconds: 1 });
  const { state, exit } = await viewOf('wc');
  assert.deepEqual([state, exit?.code], ['exited', 137]);
  await client.call('workloads.start', 'wc');
  assert.equal((await viewOf('wc')).state, 'running');
});

test('what stops a supervisor or a machine stops no stop, kill or removal, nor the figures of others', async () => {
  const stopped = ['stop-container', 'stop-vm'] as const;
  const removed = ['remove-container', 'remove-vm'] as const;
  for (const name of [...stopped, ...removed]) {
    const id = await startSleeper(name, name.endsWith('vm') ? 'vm' : 'container');
    process.kill(await supervisorOf(id), 'SIGSTOP');
  }
  await startSleeper('hung', 'vm');
  process.kill((await viewOf('hung')).pid, 'SIGSTOP');
  const took = await Promise.all([
    ...stopped.map((name) => timed(client.call('workloads.stop', name, { timeoutSeconds: 1 }))),
    ...removed.map((name) => timed(client.call('workloads.remove', name, { force: true, volumes: true }))),
    timed(client.call('workloads.kill', 'hung')),
  ]);
  for (const seconds of took) assert.ok(seconds < 30, `${took}`);
  for (const name of [...stopped, 'hung']) {
    const { state, exit } = await viewOf(name);
    assert.deepEqual([name, state, exit?.code], [name, 'exited', 137]);
  }
  await client.call('workloads.remove', 'hung', { force: false, volumes: true });
});

test('the figures of a machine that does not answer are those of the host, and soon', async () => {
  await startSleeper('silent', 'vm');
  process.kill((await viewOf('silent')).pid, 'SIGSTOP');
  const took = await Promise.all([
    timed(client.call('workloads.stats', 'silent')),
    timed(client.call('workloads.stats', 'wf')),
  ]);
  for (const seconds of took) assert.ok(seconds < 10, `${took}`);
});

for (const isolation of ['container', 'vm'] as const)
  test(`${isolation}: whatever touches a workload while it starts, one supervisor runs it`, async () => {
    const name = `t-${isolation}`;
    const spec = shell('exec sleep 600', { isolation, image: 'busybox', networkMode: 'none' });
    const { id } = await client.call<{ id: string }>('workloads.create', spec, name);
    const start = client.call('workloads.start', name);
    const touched = await Promise.allSettled([
      client.call('copyOut', name, '/etc/passwd'),
      client.call('attach', name, 50),
      client.call('workloads.changes', name),
      client.call('commit', name),
    ]);
    await start;
    for (const result of touched)
      assert.equal(result.status, 'fulfilled', `${result.status === 'rejected' && result.reason}`);
    const { state, pid } = await viewOf(name);
    assert.equal(state, 'running');
    assert.ok(existsSync(`/proc/${pid}`));
    await client.call('workloads.kill', name);
    // The workload has ended when the kill is answered.
    await client.call('workloads.remove', name, { force: false, volumes: true });
    assert.equal(existsSync(join(root, 'workloads', id)), false);
  });

test('what runs without a record or its copy is shown, cut off, and can be stopped and removed', async () => {
  const isolations = ['container', 'vm'] as const;
  const ids = await Promise.all(isolations.map((isolation) => startSleeper(`lost-${isolation}`, isolation)));
  const before = await Promise.all(ids.map(viewOf));
  await client.kill();
  for (const id of ids)
    for (const name of ['record.json', 'record.copy.json']) await rm(join(root, 'workloads', id, name));
  for (let start = 0; start < 2; start++) {
    client = await EngineClient.start(root);
    for (const [number, id] of ids.entries()) {
      const view = await client.call<WorkloadView>('workloads.inspect', id.slice(0, 12));
      const { state, spec, pid, endpoints } = view;
      assert.deepEqual(
        [state, spec.image, spec.isolation, pid, endpoints],
        ['running', 'unknown', isolations[number], before[number]?.pid, []],
      );
      for (const { interface: port } of before[number]?.endpoints ?? [])
        assert.equal(existsSync(`/proc/sys/net/ipv4/conf/${port}`), false);
    }
    if (start === 0) await client.kill();
  }
  const [first = '', second = ''] = ids;
  assert.equal(await client.call('exec', second, ['echo', 'here']), 'here\n');
  await client.call('workloads.stop', first, { timeoutSeconds: 0 });
  assert.equal((await viewOf(first)).state, 'exited');
  await assert.rejects(client.call('workloads.start', first), /record is lost.*create it again/);
  await client.call('workloads.remove', first, { force: false, volumes: true });
  await client.call('workloads.remove', second, { force: true, volumes: true });
  for (const id of ids) assert.equal(existsSync(join(root, 'workloads', id)), false);
});
