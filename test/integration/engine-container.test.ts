// Needs root, crun and the built programs: the engine over real containers and a real image store.
import assert from 'node:assert/strict';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { buffer, text } from 'node:stream/consumers';
import { after, before, test } from 'node:test';
import type { BerthEvent, ImageStore, WorkloadSpec } from '../../src/core/index.ts';
import { createContainerDriver } from '../../src/drivers/container/index.ts';
import { type Engine, openEngine } from '../../src/engine/index.ts';
import { openImageStore } from '../../src/images/index.ts';
import { firstLine, shell as plainShell, SPEC } from '../fixtures/engine.ts';
import { BINARIES } from '../fixtures/engine-client.ts';
import { findLeaks } from '../fixtures/engine-leaks.ts';

let root: string;
let images: ImageStore;
let engine: Engine;

const shell = (script: string, change: Partial<WorkloadSpec> = {}) => ({
  ...plainShell(script, change),
  image: 'busybox',
});
const open = () =>
  openEngine({
    root,
    images,
    shimPath: join(BINARIES, 'berth-shim'),
    drivers: [createContainerDriver({ shimPath: join(BINARIES, 'berth-shim'), stateDir: root })],
  });

before(async () => {
  root = await mkdtemp(join(tmpdir(), 'berth-engine-'));
  const inUse = () => engine?.imagesInUse() ?? new Map();
  images = await openImageStore({
    root: join(root, 'images'),
    unpackPath: join(BINARIES, 'berth-unpack'),
    inUse,
  });
  await images.createBase({ kind: 'busybox', packages: [] });
  engine = await open();
});

after(async () => {
  for (const { id } of engine.workloads.list())
    await engine.workloads.remove(id, { force: true, volumes: true }).catch(() => {});
  await engine.volumes.prune({ all: true });
  await engine.close();
  assert.deepEqual(await findLeaks(root), []);
  await rm(root, { recursive: true, force: true });
});

async function output(spec: WorkloadSpec): Promise<{ code: number; lines: string[] }> {
  const { workloads } = engine;
  const { id } = await workloads.create(spec);
  const end = workloads.wait(id, 'next-exit');
  await workloads.start(id);
  const { code } = await end;
  const lines: string[] = [];
  for await (const { line } of await workloads.logs(id, { stdout: true, stderr: true, follow: false }))
    lines.push(line);
  await workloads.remove(id, { force: false, volumes: true });
  return { code, lines };
}

test('an image whose workload exists is in use', async () => {
  const { id } = await images.get('busybox');
  await engine.workloads.create(shell('exit 0'), 'user');
  assert.deepEqual(engine.imagesInUse().get(id), ['user']);
  await assert.rejects(images.remove('busybox', { force: false, noPrune: false }), { code: 'conflict' });
  await engine.workloads.remove('user', { force: false, volumes: false });
});

test('the process gets the environment, folder, user and name that were asked for', async () => {
  const script = 'echo $A; pwd; id -u; hostname; echo $HOSTNAME; cat /etc/hostname';
  const { lines } = await output(
    shell(script, { env: ['A=b'], workingDir: '/new/dir', user: '7', hostname: 'ship' }),
  );
  assert.deepEqual(lines.join(''), 'b\n/new/dir\n7\nship\nship\nship\n');
});

test('a command that is missing or cannot be executed leaves 127 or 126', async () => {
  for (const [command, code] of [
    ['/no/such', 127],
    ['nosuch', 127],
    ['/etc', 126],
  ] as const) {
    const { id } = await engine.workloads.create({ ...SPEC, image: 'busybox', command: [command] });
    await assert.rejects(engine.workloads.start(id), (error: Error) => error.message.includes(command));
    const { state, exit } = engine.workloads.get(id);
    assert.deepEqual([state, exit?.code], ['created', code], command);
    await engine.workloads.remove(id, { force: false, volumes: false });
  }
});

test('a volume carries data from one container to the next', async () => {
  const volume = { type: 'volume', name: 'shared', target: '/data', readonly: false, noCopy: false } as const;
  await output(shell('echo cargo > /data/file', { mounts: [volume] }));
  assert.deepEqual((await output(shell('cat /data/file', { mounts: [volume] }))).lines, ['cargo\n']);
  const readonly = { ...volume, readonly: true };
  assert.notEqual((await output(shell('echo x > /data/file', { mounts: [readonly] }))).code, 0);
});

test('the writable layer survives a restart, of one that removes itself too', async () => {
  const { workloads } = engine;
  for (const autoRemove of [false, true]) {
    await workloads.create(shell('echo x >> /file; cat /file; exec sleep 600', { autoRemove }), 'layer');
    await workloads.start('layer');
    await firstLine(engine, 'layer');
    await workloads.restart('layer', { timeoutSeconds: 0 });
    const lines: string[] = [];
    for await (const { line } of await workloads.logs('layer', {
      stdout: true,
      stderr: true,
      follow: true,
    })) {
      lines.push(line);
      if (lines.length === 3) break;
    }
    assert.deepEqual(lines, ['x\n', 'x\n', 'x\n']);
    assert.ok((await workloads.writableBytes('layer')) > 0);
    await workloads.remove('layer', { force: true, volumes: false });
  }
});

test('who attaches before a second start misses nothing of it', async () => {
  const { workloads } = engine;
  await workloads.create(shell('echo out; echo err >&2'), 'twice');
  for (let run = 0; run < 2; run++) {
    const io = await workloads.attach('twice', { stdin: false, stdout: true, stderr: true });
    await workloads.start('twice');
    assert.match(await text(io.output), /out\n.*err\n|err\n.*out\n/s);
    await workloads.wait('twice', 'not-running');
  }
  await workloads.remove('twice', { force: false, volumes: false });
});

test('memory beyond the limit ends the workload, and the events say why', async () => {
  const events = engine.events.subscribe({});
  const resources = { ...SPEC.resources, memoryBytes: 16 << 20, memorySwapBytes: 16 << 20 };
  await engine.workloads.create(shell('exec tail /dev/zero', { resources }), 'hungry');
  const end = engine.workloads.wait('hungry', 'next-exit');
  await engine.workloads.start('hungry');
  const exit = await end;
  assert.deepEqual([exit.code, exit.oomKilled], [137, true]);
  const seen: string[] = [];
  for await (const { action } of events) {
    seen.push(action);
    if (action === 'die') break;
  }
  assert.deepEqual(seen, ['create', 'start', 'oom', 'die']);
  await engine.workloads.remove('hungry', { force: false, volumes: false });
});

test('memory beyond the limit is told of a workload that goes on, once', async () => {
  const { workloads } = engine;
  const events = engine.events.subscribe({});
  const resources = { ...SPEC.resources, memoryBytes: 16 << 20, memorySwapBytes: 16 << 20 };
  await workloads.create(
    shell('[ -e /full ] || { touch /full; tail /dev/zero; }; exec sleep 600', { resources }),
    'greedy',
  );
  assert.equal(workloads.get('greedy').oomKilled, false);
  await workloads.start('greedy');
  const seen: string[] = [];
  for await (const { action } of events) {
    seen.push(action);
    if (action === 'die') break;
    if (action !== 'oom') continue;
    assert.deepEqual([workloads.get('greedy').state, workloads.get('greedy').oomKilled], ['running', true]);
    await workloads.kill('greedy');
  }
  assert.deepEqual(seen, ['create', 'start', 'oom', 'kill', 'die']);
  await workloads.start('greedy');
  assert.equal(workloads.get('greedy').oomKilled, false);
  await workloads.remove('greedy', { force: true, volumes: false });
});

test('execs, files, figures and limits reach a running container', async () => {
  const { workloads, execs } = engine;
  await workloads.create(shell('exec sleep 600'), 'busy');
  await workloads.start('busy');
  const spec = {
    args: ['sh', '-c', 'read word; echo got $word; exit 4'],
    env: [],
    tty: false,
    privileged: false,
  };
  const all = { attachStdin: true, attachStdout: true, attachStderr: true, detachKeys: '' };
  const io = await execs.start(await execs.create('busy', { ...spec, ...all }));
  io.input.end('cargo\n');
  assert.match(await text(io.output), /got cargo/);
  assert.equal((await io.exit).code, 4);
  assert.ok((await workloads.stats('busy')).pids.current >= 1);
  assert.ok((await workloads.top('busy', [])).rows.length >= 1);
  await workloads.update('busy', { resources: { memoryBytes: 32 << 20 } });
  const { memory } = await workloads.stats('busy');
  assert.equal(memory.limitBytes, 32 << 20);
  assert.equal((await workloads.statPath('busy', '/etc/hostname')).name, 'hostname');
  await assert.rejects(workloads.statPath('busy', '/nope'), {
    code: 'not-found',
    message: `Could not find the file /nope in container ${workloads.get('busy').id}`,
  });
  await workloads.pause('busy');
  assert.equal(workloads.get('busy').state, 'paused');
  await workloads.resume('busy');
  await workloads.pause('busy');
  await workloads.remove('busy', { force: true, volumes: false });
});

test('a copy goes on that meets a commit, or a pause', async () => {
  const { workloads } = engine;
  await workloads.create(shell('head -c 8000000 /dev/zero > /big; echo made; exec sleep 600'), 'copied');
  await workloads.start('copied');
  await firstLine(engine, 'copied');
  const [first, second] = [
    await workloads.readArchive('copied', '/big'),
    await workloads.readArchive('copied', '/big'),
  ];
  await workloads.commit('copied', { pause: true, changes: [] });
  assert.ok((await buffer(first.tar)).length > 8_000_000);
  await workloads.pause('copied');
  assert.ok((await buffer(second.tar)).length > 8_000_000);
  await workloads.remove('copied', { force: true, volumes: false });
});

test('a stop or kill that meets a pause ends the container at once', async () => {
  const { workloads } = engine;
  await workloads.create(shell('trap "" TERM; while :; do sleep 1; done'), 'halted');
  for (let round = 0; round < 8; round++) {
    await workloads.start('halted');
    const begun = Date.now();
    const stop = { timeoutSeconds: 0 };
    await Promise.all([
      workloads.pause('halted').catch(() => {}),
      round % 2 ? workloads.restart('halted', stop) : workloads.stop('halted', stop),
      workloads.kill('halted', 'TERM').catch(() => {}),
      workloads.pause('halted').catch(() => {}),
    ]);
    await workloads.kill('halted').catch(() => {});
    assert.ok(Date.now() - begun < 5000, `round ${round}: ${Date.now() - begun} ms`);
    assert.equal(workloads.get('halted').state, 'exited');
  }
  await workloads.remove('halted', { force: false, volumes: false });
});

test('limits changed while a container is stopped hold in its next run', async () => {
  const { workloads } = engine;
  await workloads.create(shell('exec sleep 600'), 'later');
  await workloads.update('later', { resources: { memoryBytes: 32 << 20, pidsLimit: 50 } });
  for (let run = 0; run < 2; run++) {
    await workloads.start('later');
    const { memory, pids } = await workloads.stats('later');
    assert.deepEqual([memory.limitBytes, pids.limit], [32 << 20, 50]);
    await workloads.stop('later', { timeoutSeconds: 0 });
  }
  await workloads.remove('later', { force: false, volumes: false });
});

test('a follower reads a rotated log without a gap', async () => {
  const { workloads } = engine;
  const log = { driver: 'json-file' as const, maxBytes: 20_000, maxFiles: 5 };
  const script = 'i=0; while [ $i -lt 600 ]; do echo line $i; i=$((i+1)); done';
  await workloads.create(shell(script, { log }), 'chatty');
  await workloads.start('chatty');
  const lines: string[] = [];
  for await (const { line } of await workloads.logs('chatty', { stdout: true, stderr: true, follow: true }))
    lines.push(line);
  assert.deepEqual(
    lines,
    Array.from({ length: 600 }, (_, number) => `line ${number}\n`),
  );
  await workloads.remove('chatty', { force: false, volumes: false });
});

test('a shell that is killed with its supervisor is known to have ended', async () => {
  const { workloads } = engine;
  await workloads.create(shell('exec sleep 600'), 'orphan');
  await workloads.start('orphan');
  const events = engine.events.subscribe({});
  const end = workloads.wait('orphan', 'next-exit');
  const parent = await parentOf(workloads.get('orphan').pid);
  process.kill(parent, 'SIGKILL');
  const exit = await end;
  assert.equal(exit.reason, 'supervisor-died');
  let died: BerthEvent | undefined;
  for await (const event of events)
    if (event.action === 'die') {
      died = event;
      break;
    }
  assert.equal(died?.actor.attributes['reason'], 'supervisor-died');
  await workloads.remove('orphan', { force: false, volumes: false });
});

async function parentOf(pid: number): Promise<number> {
  return Number(/^PPid:\s*(\d+)/m.exec(await readFile(`/proc/${pid}/status`, 'utf8'))?.[1]);
}
