import assert from 'node:assert/strict';
import { mkdir, readdir, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { engineFixture, folderIs, SPEC, shell } from '../fixtures/engine.ts';

test('a new engine takes over what runs, hears its end and knows the past', async (t) => {
  const fixture = await engineFixture(t);
  const { workloads } = fixture.engine;
  const { id } = await workloads.create(shell('sleep 2; exit 6', { labels: { a: 'b' } }), 'runs');
  await workloads.create(shell('exit 2'), 'ended');
  await workloads.start('runs');
  await workloads.start('ended');
  await workloads.wait('ended', 'not-running');
  const before = workloads.get('runs');
  const after = (await fixture.reopen()).workloads;
  assert.deepEqual(after.get(id), before);
  assert.equal(after.get('ended').exit?.code, 2);
  assert.equal((await after.wait('runs', 'next-exit')).code, 6);
});

test('an end that nobody heard is known afterwards', async (t) => {
  const fixture = await engineFixture(t);
  const { id } = await fixture.engine.workloads.create(shell('sleep 0.1; exit 6'), 'one');
  await fixture.engine.workloads.start('one');
  await fixture.engine.close();
  await folderIs(join(fixture.root, 'workloads', id), (names) => names.includes('exit'));
  const { workloads } = await fixture.reopen();
  assert.deepEqual([workloads.get('one').state, workloads.get('one').exit?.code], ['exited', 6]);
});

test('what was half made or half removed is finished, what removes itself goes', async (t) => {
  const fixture = await engineFixture(t);
  const { engine, root, driver } = fixture;
  const ids: string[] = [];
  for (const name of ['making', 'removing', 'kept']) ids.push((await engine.workloads.create(SPEC, name)).id);
  const auto = await engine.workloads.create(shell('exit 0', { autoRemove: true }), 'auto');
  await engine.close();
  const file = (id: string, name: string) => join(root, 'workloads', id, name);
  await rename(file(ids[0] ?? '', 'record.json'), file(ids[0] ?? '', 'creating.json'));
  await rename(file(ids[1] ?? '', 'record.json'), file(ids[1] ?? '', 'removing.json'));
  await writeFile(file(auto.id, 'started'), '2026-01-01T00:00:00Z');
  await writeFile(file(auto.id, 'pid'), '1');
  await writeFile(file(auto.id, 'exit'), '0');
  await mkdir(join(root, 'workloads', '0'.repeat(64)));
  await mkdir(join(root, 'trash/rest'), { recursive: true });
  const { workloads } = await fixture.reopen();
  await folderIs(join(root, 'trash'), (names) => names.length === 0);
  assert.deepEqual(
    workloads.list().map(({ name }) => name),
    ['kept'],
  );
  assert.deepEqual(await readdir(join(root, 'workloads')), [ids[2]]);
  assert.deepEqual(driver.removed.toSorted(), [ids[0], ids[1], auto.id].toSorted());
});

test('a record that cannot be read is set aside with all that is beside it, and said', async (t) => {
  const fixture = await engineFixture(t);
  const { id } = await fixture.engine.workloads.create(SPEC, 'one');
  await fixture.engine.close();
  const dir = join(fixture.root, 'workloads', id);
  for (const name of ['record.json', 'record.copy.json'])
    await writeFile(join(dir, name), '{"version":1,"id":');
  await writeFile(join(dir, 'precious'), 'data');
  for (let start = 0; start < 2; start++) {
    const { workloads } = await fixture.reopen();
    assert.deepEqual(workloads.list(), []);
    const left = ['precious', 'record.copy.json', 'record.json.damaged'];
    assert.deepEqual((await readdir(dir)).toSorted(), left);
  }
  assert.equal(fixture.lines.filter((line) => line.includes(id)).length, 2);
});

for (const [what, spoil] of [
  ['gone', (path: string) => rm(path)],
  ['damaged', (path: string) => writeFile(path, '{"version":1,"id":')],
] as const)
  test(`a workload whose record is ${what} keeps its name, and can be stopped and removed`, async (t) => {
    const fixture = await engineFixture(t);
    const { id } = await fixture.engine.workloads.create(shell('exec sleep 600'), 'first');
    await fixture.engine.workloads.start(id);
    await fixture.engine.workloads.rename(id, 'second');
    await fixture.engine.close();
    const dir = join(fixture.root, 'workloads', id);
    await spoil(join(dir, 'record.json'));
    const { workloads } = await fixture.reopen();
    assert.equal(workloads.get('second').state, 'running');
    await assert.rejects(workloads.create(SPEC, 'second'), { code: 'conflict' });
    assert.equal(await workloads.stop('second', { timeoutSeconds: 5 }), true);
    await workloads.remove('second', { force: false, volumes: false });
    assert.deepEqual(await readdir(join(fixture.root, 'workloads')), []);
  });

test('at the start, always runs again even if it was stopped, unless-stopped does not', async (t) => {
  const fixture = await engineFixture(t);
  const { workloads } = fixture.engine;
  for (const name of ['always', 'unless-stopped'] as const) {
    await workloads.create(shell('exec sleep 60', { restart: { name, maximumRetryCount: 0 } }), name);
    await workloads.start(name);
    await workloads.stop(name, { timeoutSeconds: 5 });
    assert.equal(workloads.get(name).state, 'exited');
  }
  await workloads.create({ ...SPEC, restart: { name: 'always', maximumRetryCount: 0 } }, 'never-started');
  const engine = await fixture.reopen();
  for await (const { action, actor } of engine.events.subscribe({ sinceNano: 0n }))
    if (action === 'start' && actor.attributes['name'] === 'always') break;
  assert.equal(engine.workloads.get('always').state, 'running');
  assert.equal(engine.workloads.get('unless-stopped').state, 'exited');
  assert.equal(engine.workloads.get('never-started').state, 'created');
});
