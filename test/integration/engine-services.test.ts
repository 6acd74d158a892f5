import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { test } from 'node:test';
import type { ExecSpec, LogEntry } from '../../src/engine/index.ts';
import { engineFixture, SPEC, shell } from '../fixtures/engine.ts';

const EXEC: ExecSpec = {
  args: ['sh', '-c', 'echo $GREETING; exit 4'],
  env: ['GREETING=ahoy'],
  tty: false,
  privileged: false,
  attachStdin: false,
  attachStdout: true,
  attachStderr: true,
  detachKeys: '',
};

test('output reaches who attached before the start, and the log', async (t) => {
  const { engine } = await engineFixture(t);
  const { workloads } = engine;
  await workloads.create(shell('echo one; read line; echo "got $line"', { openStdin: true }), 'echo');
  const io = await workloads.attach('echo', { stdin: true, stdout: true, stderr: true });
  await workloads.start('echo');
  const following = (async () => {
    const lines: string[] = [];
    for await (const { line } of await workloads.logs('echo', { stdout: true, stderr: true, follow: true }))
      lines.push(line);
    return lines;
  })();
  io.input.write('word\n');
  const output = await text(io.output);
  assert.match(output, /one\n.*got word\n/s);
  assert.deepEqual(await following, ['one\n', 'got word\n']);
  const last: LogEntry[] = [];
  const options = { stdout: true, stderr: true, follow: true, tail: 1 };
  for await (const entry of await workloads.logs('echo', options)) last.push(entry);
  assert.deepEqual(
    last.map(({ line }) => line),
    ['got word\n'],
  );
});

test('an exec runs in the environment of its workload and leaves its exit code', async (t) => {
  const { engine } = await engineFixture(t);
  const { workloads, execs } = engine;
  await workloads.create(shell('exec sleep 60', { env: ['GREETING=hello'] }), 'one');
  await workloads.start('one');
  const id = await execs.create('one', EXEC);
  assert.deepEqual(workloads.get('one').execIds, [id]);
  const io = await execs.start(id);
  assert.match(await text(io.output), /ahoy/);
  assert.equal((await io.exit).code, 4);
  const view = execs.get(id);
  assert.deepEqual([view.running, view.exitCode], [false, 4]);
  await assert.rejects(execs.start(id), {
    code: 'conflict',
    message: `Error: Exec command ${id} has already run`,
  });
  const missing = await execs.create('one', { ...EXEC, args: ['no-such-command'] });
  await assert.rejects(execs.start(missing), /not found/);
  assert.equal(execs.get(missing).exitCode, 127);
  await workloads.remove('one', { force: true, volumes: false });
  assert.throws(() => execs.get(id), { code: 'not-found', message: `No such exec instance: ${id}` });
});

test('the exit code of an exec is known although its client went away', async (t) => {
  const { engine } = await engineFixture(t);
  await engine.workloads.create(shell('exec sleep 60'), 'one');
  await engine.workloads.start('one');
  const id = await engine.execs.create('one', { ...EXEC, args: ['sh', '-c', 'seq 100000; exit 9'] });
  const events = engine.events.subscribe({});
  const io = await engine.execs.start(id);
  io.close();
  for await (const { action } of events) if (action === 'exec_die') break;
  assert.equal(engine.execs.get(id).exitCode, 9);
});

test('volumes are made for mounts, known by their users, and go with the workload if nobody named them', async (t) => {
  const { engine, images } = await engineFixture(t);
  const { workloads, volumes } = engine;
  images.config = { Volumes: { '/cache': {} } };
  const mounts = [{ type: 'volume', name: 'data', target: '/data', readonly: true, noCopy: false } as const];
  const { id } = await workloads.create({ ...SPEC, mounts }, 'one');
  const view = workloads.get('one');
  assert.deepEqual(
    view.mounts.map(({ target, readonly }) => [target, readonly]),
    [
      ['/data', true],
      ['/cache', false],
    ],
  );
  await assert.rejects(volumes.remove('data', { force: true }), {
    code: 'conflict',
    message: `remove data: volume is in use - [${id}]`,
  });
  assert.equal(volumes.list().length, 2);
  await workloads.remove('one', { force: false, volumes: true });
  assert.deepEqual(
    volumes.list().map(({ name }) => name),
    ['data'],
  );
  assert.deepEqual((await volumes.prune({ all: false })).removed, []);
  assert.deepEqual((await volumes.prune({ all: true })).removed, ['data']);
});

test('prune spares the volumes that the caller does', async (t) => {
  const { volumes } = (await engineFixture(t)).engine;
  for (const name of ['kept', 'gone']) await volumes.create({ name, labels: { [name]: '' } });
  const { removed } = await volumes.prune({ all: true, matches: ({ labels }) => !('kept' in labels) });
  assert.deepEqual(removed, ['gone']);
});

test('a bind of what is missing is refused by --mount and made by -v', async (t) => {
  const { engine, root } = await engineFixture(t);
  const source = join(root, 'missing');
  const bind = { type: 'bind', source, target: '/mnt', readonly: false, propagation: 'rprivate' } as const;
  await assert.rejects(engine.workloads.create({ ...SPEC, mounts: [bind] }), {
    code: 'invalid-argument',
    message: `invalid mount config for type "bind": bind source path does not exist: ${source}`,
  });
  await engine.workloads.create({ ...SPEC, mounts: [{ ...bind, createSource: true }] });
  assert.ok(existsSync(source));
  await assert.rejects(
    engine.workloads.create({ ...SPEC, mounts: [bind, bind] }),
    /Duplicate mount point: \/mnt/,
  );
});

test('health goes from starting to healthy to unhealthy, with events', async (t) => {
  const { engine, root } = await engineFixture(t);
  const flag = join(root, 'flag');
  const health = {
    test: ['CMD-SHELL', `echo checked; test ! -e ${flag}`],
    ...{ intervalMs: 20, timeoutMs: 5000, startPeriodMs: 0, startIntervalMs: 20, retries: 2 },
  };
  const seen: string[] = [];
  const events = engine.events.subscribe({});
  await engine.workloads.create(shell('exec sleep 60', { health }), 'one');
  await engine.workloads.start('one');
  assert.equal(engine.workloads.get('one').health?.status, 'starting');
  for await (const { action } of events) {
    if (!action.startsWith('health_status')) continue;
    seen.push(action);
    if (seen.length === 2) break;
    await writeFile(flag, '');
  }
  assert.deepEqual(seen, ['health_status: healthy', 'health_status: unhealthy']);
  const view = engine.workloads.get('one').health;
  assert.equal(view?.failingStreak, 2);
  assert.deepEqual([view?.log.at(-1)?.exitCode, view?.log.at(-1)?.output], [1, 'checked\n']);
});

test('a health check that does not end in time counts as failed', async (t) => {
  const { engine } = await engineFixture(t);
  const health = {
    test: ['CMD', 'sleep', '60'],
    ...{ intervalMs: 10, timeoutMs: 30, startPeriodMs: 0, startIntervalMs: 10, retries: 1 },
  };
  const events = engine.events.subscribe({});
  await engine.workloads.create(shell('exec sleep 60', { health }), 'one');
  await engine.workloads.start('one');
  for await (const { action } of events) if (action === 'health_status: unhealthy') break;
  const log = engine.workloads.get('one').health?.log ?? [];
  assert.deepEqual([log[0]?.exitCode, log[0]?.output], [-1, 'Health check exceeded timeout (0.03s)']);
});

test('prune removes what is stopped and nothing else; image users are known', async (t) => {
  const { engine, root } = await engineFixture(t);
  const { workloads } = engine;
  await workloads.create(SPEC, 'idle');
  await workloads.create(shell('exec sleep 60'), 'busy');
  await workloads.start('busy');
  assert.deepEqual([...engine.imagesInUse().values()], [['idle', 'busy']]);
  const { removed } = await workloads.prune(() => true);
  assert.equal(removed.length, 1);
  assert.deepEqual(
    workloads.list().map(({ name }) => name),
    ['busy'],
  );
  assert.equal((await readdir(join(root, 'workloads'))).length, 1);
});

test('an update keeps what it does not name, and is checked', async (t) => {
  const { engine, reopen } = await engineFixture(t);
  await engine.workloads.create({ ...SPEC, resources: { ...SPEC.resources, cpuShares: 512 } }, 'one');
  await engine.workloads.update('one', {
    resources: { memoryBytes: 64 << 20 },
    restart: { name: 'always', maximumRetryCount: 0 },
  });
  await assert.rejects(engine.workloads.update('one', { resources: { memoryBytes: 1 } }), {
    message: 'Minimum memory limit allowed is 6MB',
  });
  const { spec } = (await reopen()).workloads.get('one');
  assert.deepEqual([spec.resources.memoryBytes, spec.resources.cpuShares], [64 << 20, 512]);
  assert.equal(spec.restart.name, 'always');
});
