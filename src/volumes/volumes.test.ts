import assert from 'node:assert/strict';
import { link, mkdir, mkdtemp, readdir, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { isBerthError } from '../core/index.ts';
import { allocatedBytes, VolumeStore } from './index.ts';

async function tempRoot(t: TestContext): Promise<string> {
  const root = await mkdtemp(join(tmpdir(), 'berth-volumes-'));
  t.after(() => rm(root, { recursive: true, force: true }));
  return root;
}

async function openStore(root: string, used: Readonly<Record<string, readonly string[]>> = {}) {
  const lines: string[] = [];
  const store = await VolumeStore.open({
    root: join(root, 'volumes'),
    users: (name) => used[name] ?? [],
    discard: (folder) => rename(folder, join(root, `gone-${Math.random()}`)),
    shimPath: '/nonexistent/berth-shim',
    log: (line) => lines.push(line),
  });
  return { store, lines };
}

test('a volume keeps its description over a reopening and is made only once', async (t) => {
  const root = await tempRoot(t);
  const { store } = await openStore(root);
  const [first, second] = await Promise.all([
    store.create({ name: 'data', labels: { a: 'b' } }),
    store.create({ name: 'data' }),
  ]);
  assert.deepEqual([first.created, second.created], [true, false]);
  assert.equal(first.volume, second.volume);
  const again = (await openStore(root)).store.get('data');
  assert.deepEqual(again, first.volume);
  assert.deepEqual(again.labels, { a: 'b' });
});

test('a volume half made when its maker died is gone at the next opening', async (t) => {
  const root = await tempRoot(t);
  await mkdir(join(root, 'volumes/.data/_data'), { recursive: true });
  const { store } = await openStore(root);
  assert.deepEqual(store.list(), []);
  assert.deepEqual(await readdir(join(root, 'volumes')), []);
});

test('a size that no file system can have is refused, and nothing stays where none can be mounted', async (t) => {
  const root = await tempRoot(t);
  const { store } = await openStore(root);
  for (const sizeBytes of [1, 2 ** 20, 2 ** 50])
    await assert.rejects(store.create({ name: 'data', sizeBytes }), { code: 'invalid-argument' });
  // The program that mounts is not there, and on a small host the one that makes the file system is not either.
  await assert.rejects(store.create({ name: 'data', sizeBytes: 2 ** 30 }), {
    code: 'unsupported',
    message: /^create data: this host cannot (mount a file system from|make a file system in) a file/,
  });
  assert.deepEqual(await readdir(join(root, 'volumes')), []);
});

test('a volume without a name gets a long random one and is anonymous', async (t) => {
  const { store } = await openStore(await tempRoot(t));
  const { volume } = await store.create({});
  assert.match(volume.name, /^[0-9a-f]{64}$/);
  assert.equal(volume.anonymous, true);
});

test('a name that could leave the folder or is no name is refused', async (t) => {
  const { store } = await openStore(await tempRoot(t));
  for (const name of ['../x', 'a/b', '.x', 'x', 'a b', 'x'.repeat(300)])
    await assert.rejects(store.create({ name }), (error) => isBerthError(error, 'invalid-argument'), name);
});

test('a volume in use is not removed, forced or not, and its users are named', async (t) => {
  const { store } = await openStore(await tempRoot(t), { data: ['abc', 'def'] });
  await store.create({ name: 'data' });
  for (const force of [true, false])
    await assert.rejects(store.remove('data', force), {
      code: 'conflict',
      message: 'remove data: volume is in use - [abc, def]',
    });
});

test('removing what does not exist fails unless forced', async (t) => {
  const { store } = await openStore(await tempRoot(t));
  assert.equal(await store.remove('none', true), false);
  await assert.rejects(store.remove('none', false), {
    code: 'not-found',
    message: 'get none: no such volume',
  });
});

test('a damaged description is set aside and the data stays', async (t) => {
  const root = await tempRoot(t);
  await mkdir(join(root, 'volumes/data/_data'), { recursive: true });
  await writeFile(join(root, 'volumes/data/_data/file'), 'precious');
  await writeFile(join(root, 'volumes/data/volume.json'), '{"createdAt":');
  const { store, lines } = await openStore(root);
  assert.deepEqual(await readdir(store.get('data').mountpoint), ['file']);
  assert.equal(lines.length, 1);
  assert.ok((await readdir(join(root, 'volumes/data'))).includes('volume.json.damaged'));
});

test('a copy from an image that was cut short is gone at the next opening', async (t) => {
  const root = await tempRoot(t);
  await (await openStore(root)).store.create({ name: 'data' });
  await mkdir(join(root, 'volumes/data/.fill/half'), { recursive: true });
  const { store } = await openStore(root);
  assert.deepEqual(await readdir(store.get('data').mountpoint), []);
  assert.deepEqual((await readdir(join(root, 'volumes/data'))).sort(), ['_data', 'volume.json']);
});

test('allocated bytes count a hard link once and a hole not at all', async (t) => {
  const root = await tempRoot(t);
  await writeFile(join(root, 'a'), Buffer.alloc(65536, 1));
  const alone = await allocatedBytes(root);
  await link(join(root, 'a'), join(root, 'b'));
  assert.equal(await allocatedBytes(root), alone);
  assert.ok(alone >= 65536 && alone < 131072);
  assert.equal(await allocatedBytes(root, (name) => name === 'a' || name === 'b'), 0);
  assert.equal(await allocatedBytes(join(root, 'absent')), 0);
});
