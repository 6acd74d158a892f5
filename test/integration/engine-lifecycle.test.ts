import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { BerthEvent } from '../../src/core/index.ts';
import type { Engine } from '../../src/engine/index.ts';
import { engineFixture, firstLine, SPEC, shell } from '../fixtures/engine.ts';

/** Actions of containers, without those that only name a process. */
async function actions(engine: Engine): Promise<string[]> {
  const found: string[] = [];
  const soon = BigInt(Date.now() + 1) * 1_000_000n;
  for await (const event of engine.events.subscribe({ sinceNano: 0n, untilNano: soon }))
    found.push(describe(event));
  return found;
}

function describe({ action, actor }: BerthEvent): string {
  const { exitCode, signal } = actor.attributes;
  return [action, signal ?? exitCode].filter((part) => part !== undefined).join(' ');
}

test('a workload runs, ends, is remembered and removed', async (t) => {
  const { engine, driver } = await engineFixture(t);
  const { workloads } = engine;
  const { id } = await workloads.create(shell('exit 3'), 'job');
  assert.equal(workloads.get('job').state, 'created');
  const end = workloads.wait('job', 'next-exit');
  assert.equal(await workloads.start('job'), true);
  assert.equal((await end).code, 3);
  const view = workloads.get(id.slice(0, 8));
  assert.deepEqual([view.state, view.exit?.code, view.pid], ['exited', 3, 0]);
  assert.equal((await workloads.wait(id, 'not-running')).code, 3);
  await workloads.remove('/job', { force: false, volumes: false });
  assert.throws(() => workloads.get('job'), { code: 'not-found', message: 'No such container: job' });
  assert.deepEqual(driver.removed, [id]);
  assert.deepEqual(await actions(engine), ['create', 'start', 'die 3', 'destroy']);
});

test('one that removes itself is gone when its removal is told, with its exit status', async (t) => {
  const { engine } = await engineFixture(t);
  const { id } = await engine.workloads.create(shell('exit 7', { autoRemove: true }));
  const removed = engine.workloads.wait(id, 'removed');
  await engine.workloads.start(id);
  assert.equal((await removed).code, 7);
  assert.deepEqual(engine.workloads.list(), []);
});

test('names are unique, free again after removal, and movable', async (t) => {
  const { engine } = await engineFixture(t);
  const { workloads } = engine;
  const first = await workloads.create(SPEC, 'web');
  await assert.rejects(workloads.create(SPEC, 'web'), {
    code: 'conflict',
    message: `Conflict. The container name "/web" is already in use by container "${first.id}". You have to remove (or rename) that container to be able to reuse that name.`,
  });
  await workloads.rename('web', 'shop');
  await workloads.create(SPEC, 'web');
  await assert.rejects(workloads.rename('web', 'shop'), { code: 'conflict' });
  await assert.rejects(workloads.create(SPEC, '../x'), { code: 'invalid-argument' });
  await workloads.remove('shop', { force: false, volumes: false });
  await workloads.rename('web', 'shop');
  assert.equal(workloads.get('shop').name, 'shop');
});

test('stop asks first and kills when the grace is over', async (t) => {
  const { engine } = await engineFixture(t);
  const { workloads } = engine;
  await workloads.create(shell('trap "exit 5" TERM; echo; while :; do sleep 0.01; done'), 'polite');
  await workloads.create(shell('trap "" TERM; echo; while :; do sleep 0.01; done'), 'deaf');
  for (const name of ['polite', 'deaf']) {
    await workloads.start(name);
    await firstLine(engine, name);
  }
  assert.equal(await workloads.stop('polite'), true);
  assert.equal(workloads.get('polite').exit?.code, 5);
  assert.equal(await workloads.stop('deaf', { timeoutSeconds: 0 }), true);
  assert.equal(workloads.get('deaf').exit?.code, 137);
  assert.equal(await workloads.stop('deaf'), false);
  assert.deepEqual((await actions(engine)).slice(4), [
    ...['kill 15', 'die 5', 'stop'],
    ...['kill 15', 'kill 9', 'die 137', 'stop'],
  ]);
});

test('a kill or a forced removal is not held up by a slow stop', async (t) => {
  const { engine } = await engineFixture(t);
  const { workloads } = engine;
  for (const name of ['a', 'b']) {
    await workloads.create(shell('trap "" TERM; echo; while :; do sleep 0.01; done'), `slow-${name}`);
    await workloads.start(`slow-${name}`);
    await firstLine(engine, `slow-${name}`);
  }
  const begun = Date.now();
  const events = engine.events.subscribe({});
  const stops = ['slow-a', 'slow-b'].map((name) => workloads.stop(name, { timeoutSeconds: 60 }));
  let signals = 0;
  for await (const { action } of events) if (action === 'kill' && ++signals === 2) break;
  await workloads.kill('slow-a');
  await workloads.remove('slow-b', { force: true, volumes: false });
  assert.deepEqual(await Promise.all(stops), [true, true]);
  assert.ok(Date.now() - begun < 10_000);
});

test('what does not fit the state is refused in the words of Docker', async (t) => {
  const { engine } = await engineFixture(t);
  const { workloads, execs } = engine;
  const { id } = await workloads.create(shell('exec sleep 60'), 'one');
  const conflict = (message: string) => ({ code: 'conflict', message });
  const execSpec = { args: ['true'], env: [], tty: false, privileged: false, detachKeys: '' };
  const exec = { ...execSpec, attachStdin: false, attachStdout: true, attachStderr: true };
  await assert.rejects(
    workloads.kill('one'),
    conflict(`Cannot kill container: one: Container ${id} is not running`),
  );
  await assert.rejects(workloads.pause('one'), conflict(`Container ${id} is not running`));
  await assert.rejects(execs.create('one', exec), conflict(`Container ${id} is not running`));
  await workloads.start('one');
  assert.equal(await workloads.start('one'), false);
  await assert.rejects(
    workloads.remove('one', { force: false, volumes: false }),
    conflict(
      `You cannot remove a running container ${id}. Stop the container before attempting removal or force remove`,
    ),
  );
  await assert.rejects(workloads.resume('one'), conflict(`Container ${id} is not paused`));
  await assert.rejects(workloads.kill('one', 'NOPE'), {
    code: 'invalid-argument',
    message: 'Invalid signal: NOPE',
  });
  await workloads.pause('one');
  await assert.rejects(workloads.pause('one'), conflict(`Container ${id} is already paused`));
  await assert.rejects(
    execs.create('one', exec),
    conflict(`Container ${id} is paused, unpause the container before exec`),
  );
  await assert.rejects(
    workloads.kill('one', 'HUP'),
    conflict(`Container ${id} is paused. Unpause the container before stopping or killing`),
  );
  assert.equal(await workloads.stop('one', { timeoutSeconds: 5 }), true);
});

test('a command that cannot be executed leaves 127, its reason, and nothing when it removes itself', async (t) => {
  const { engine } = await engineFixture(t);
  const { workloads } = engine;
  const spec = { ...SPEC, command: ['no-such-command'] };
  await workloads.create(spec, 'kept');
  await assert.rejects(workloads.start('kept'), /no-such-command/);
  const view = workloads.get('kept');
  assert.deepEqual([view.state, view.exit?.code, view.exit?.reason], ['created', 127, 'start-failed']);
  assert.match(view.error, /executable file not found/);
  await workloads.create({ ...spec, autoRemove: true }, 'gone');
  const removed = workloads.wait('gone', 'removed');
  await assert.rejects(workloads.start('gone'), /no-such-command/);
  assert.equal((await removed).code, 127);
  assert.throws(() => workloads.get('gone'), { code: 'not-found' });
});

test('a creation that fails leaves no name, no folder and no volume', async (t) => {
  const { engine, driver } = await engineFixture(t);
  const { workloads, volumes } = engine;
  await assert.rejects(workloads.create({ ...SPEC, image: 'nope' }), {
    code: 'not-found',
    message: 'No such image: nope:latest',
  });
  driver.beforeCreate = async () => {
    throw new Error('the disk is on fire');
  };
  const mounts = [{ type: 'volume', name: 'data', target: '/data', readonly: false, noCopy: false } as const];
  await assert.rejects(workloads.create({ ...SPEC, mounts }, 'web'), /on fire/);
  assert.deepEqual(volumes.list(), []);
  driver.beforeCreate = async () => {};
  await workloads.create(SPEC, 'web');
  assert.equal(workloads.list().length, 1);
});

test('restart policies start again what ended by itself, slower each time, and leave what was stopped', async (t) => {
  const { engine } = await engineFixture(t);
  const { workloads } = engine;
  const restart = { name: 'on-failure', maximumRetryCount: 2 } as const;
  await workloads.create(shell('exit 1', { restart }), 'failing');
  await workloads.start('failing');
  assert.equal((await workloads.wait('failing', 'not-running')).code, 1);
  assert.equal(workloads.get('failing').restartCount, 2);
  const begun = (await actions(engine)).filter((action) => action === 'start').length;
  assert.equal(begun, 3);
  await workloads.create(shell('exit 0', { restart: { name: 'always', maximumRetryCount: 0 } }), 'always');
  const ended = workloads.wait('always', 'next-exit');
  await workloads.start('always');
  await ended;
  assert.equal(workloads.get('always').restarting, true);
  const stopped = workloads.wait('always', 'not-running');
  assert.equal(await workloads.stop('always'), true);
  await stopped;
  assert.equal(workloads.get('always').restarting, false);
});

test('restart keeps a workload that removes itself', async (t) => {
  const { engine } = await engineFixture(t);
  const { workloads } = engine;
  await workloads.create(shell('exec sleep 60', { autoRemove: true }), 'one');
  await workloads.start('one');
  const first = workloads.get('one').pid;
  await workloads.restart('one', { timeoutSeconds: 5 });
  assert.equal(workloads.get('one').state, 'running');
  assert.notEqual(workloads.get('one').pid, first);
});

test('waiting can be given up', async (t) => {
  const { engine } = await engineFixture(t);
  await engine.workloads.create(SPEC, 'one');
  const patience = new AbortController();
  const waiting = engine.workloads.wait('one', 'next-exit', patience.signal);
  patience.abort();
  await assert.rejects(waiting, { code: 'cancelled' });
});

test('a removal that fails is told to who waits for it, and can be tried again', async (t) => {
  const fixture = await engineFixture(t);
  const { workloads } = fixture.engine;
  fixture.driver.beforeRemove = async () => {
    throw new Error('it is stuck');
  };
  const { id } = await workloads.create(shell('exit 0', { autoRemove: true }), 'auto');
  const removed = workloads.wait(id, 'removed');
  await workloads.start(id);
  await assert.rejects(removed, { message: 'container auto could not be removed: it is stuck' });
  await workloads.create(SPEC, 'plain');
  const remove = (name: string) => workloads.remove(name, { force: false, volumes: false });
  await assert.rejects(remove('plain'), /stuck/);
  await assert.rejects(remove('plain'), /stuck/);
  fixture.driver.beforeRemove = async () => {};
  await remove('plain');
  await remove('auto');
  assert.deepEqual(workloads.list(), []);
});
