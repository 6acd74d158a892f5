import assert from 'node:assert/strict';
import { chmod, mkdir, mkdtemp, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { openStateRoot } from './state-root.ts';

test('a state root is closed to others down to the workloads’ own files, also below a top that is closed', async (t) => {
  const root = await mkdtemp(join(tmpdir(), 'berth-root-'));
  t.after(() => rm(root, { recursive: true, force: true }));
  const modeOf = async (name: string) => (await stat(join(root, name))).mode & 0o7777;
  for (const name of ['volumes/db/_data', 'workloads/id/upper', 'vm/images']) {
    await mkdir(join(root, name), { recursive: true });
  }
  await chmod(join(root, 'volumes/db/_data'), 0o1777);
  await openStateRoot(root);
  for (const name of ['.', 'volumes', 'volumes/db', 'workloads', 'workloads/id', 'vm', 'vm/images'])
    assert.equal(await modeOf(name), 0o700, name);
  assert.equal(await modeOf('volumes/db/_data'), 0o1777);
  assert.equal(await modeOf('workloads/id/upper'), 0o755);
  await openStateRoot(join(root, 'new/state'));
  assert.equal(await modeOf('new/state'), 0o700);
});

test('a folder that all users share is no state root', async (t) => {
  const shared = await mkdtemp(join(tmpdir(), 'berth-shared-'));
  t.after(() => rm(shared, { recursive: true, force: true }));
  await chmod(shared, 0o1777);
  await assert.rejects(openStateRoot(shared), /is shared by all users: give BERTH_ROOT a folder of its own/);
  assert.equal((await stat(shared)).mode & 0o7777, 0o1777);
});
