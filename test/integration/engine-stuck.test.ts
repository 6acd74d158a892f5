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
  const names = ['a', 'b', 'c', 'd', 'e', 'f'];
  const ids = await Promise.all(names.map((name) => startSleeper(name, 'container')));
  const stuck = await Promise.all(ids.slice(0, 3).map(supervisorOf));
  const before = await viewOf('a');
  for (const pid of stuck) process.kill(pid, 'SIGSTOP');
  assert.ok((await restartDaemon()) < LISTEN_LIMIT_MS);
  assert.equal((await viewOf('f')).state, 'running');
  const told = await viewOf('a');
  assert.equal(told.state, 'unknown');
  assert.match(told.stateReason ?? '', /supervisor has not answered/);
  assert.deepEqual(told.endpoints, before.endpoints);
  await assert.rejects(startSleeper('a', 'container'), { code: 'conflict' });
  process.kill(stuck[0] ?? 0, 'SIGCONT');
  // A request waits for the workload that is being taken over.
  assert.equal(await client.call('exec', 'a', ['echo', 'here']), 'here\n');
  assert.deepEqual(await viewOf('a'), before);
  await client.call('workloads.remove', 'b', { force: true, volumes: true });
  assert.equal(existsSync(`/proc/${stuck[1]}`), false);
  await client.call('workloads.stop', 'c', { timeoutSeconds: 1 });
  const { state, exit } = await viewOf('c');
  assert.deepEqual([state, exit?.code], ['exited', 137]);
  await client.call('workloads.start', 'c');
  assert.equal((await viewOf('c')).state, 'running');
});

for (const isolation of ['container', 'vm'] as const)
  test(`${isolation}: what stops a supervisor stops neither a stop, nor a kill, nor a removal`, async () => {
    const name = `x-${isolation}`;
    const id = await startSleeper(name, isolation);
    process.kill(await supervisorOf(id), 'SIGSTOP');
    assert.ok((await timed(client.call('workloads.stop', name, { timeoutSeconds: 1 }))) < 30);
    assert.equal((await viewOf(name)).exit?.code, 137);
    await client.call('workloads.start', name);
    process.kill(await supervisorOf(id), 'SIGSTOP');
    const others = timed(client.call('workloads.stats', 'f'));
    assert.ok((await timed(client.call('workloads.remove', name, { force: true, volumes: true }))) < 30);
    assert.ok((await others) < 10);
  });

test('vm: a machine that does not answer is measured from outside, and killed', async () => {
  await startSleeper('hung', 'vm');
  const { pid } = await viewOf('hung');
  process.kill(pid, 'SIGSTOP');
  assert.ok((await timed(client.call('workloads.stats', 'hung'))) < 10);
  assert.ok((await timed(client.call('workloads.kill', 'hung'))) < 30);
  assert.equal((await viewOf('hung')).state, 'exited');
  await client.call('workloads.remove', 'hung', { force: false, volumes: true });
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
      assert.equal(result.status, 'fulfilled', String(Reflect.get(result, 'reason')));
    const { state, pid } = await viewOf(name);
    assert.equal(state, 'running');
    assert.ok(existsSync(`/proc/${pid}`));
    await client.call('workloads.kill', name);
    // It has ended when the kill is answered.
    await client.call('workloads.remove', name, { force: false, volumes: true });
    assert.equal(existsSync(join(root, 'workloads', id)), false);
  });
