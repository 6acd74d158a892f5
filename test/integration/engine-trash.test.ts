// Needs root: mounts.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { engineFixture, folderIs } from '../fixtures/engine.ts';

test('what is still mounted inside of a folder to be deleted is never deleted through it', async (t) => {
  const fixture = await engineFixture(t);
  const precious = join(fixture.root, 'precious');
  await mkdir(precious);
  await writeFile(join(precious, 'file'), 'data');
  const target = join(fixture.root, 'workloads', '0'.repeat(64), 'with blank');
  await mkdir(target, { recursive: true });
  execFileSync('mount', ['--bind', precious, target]);
  await fixture.reopen();
  await fixture.logged('is still mounted');
  const [kept = ''] = await readdir(join(fixture.root, 'trash'));
  const moved = join(fixture.root, 'trash', kept, 'with blank');
  assert.equal(await readFile(join(moved, 'file'), 'utf8'), 'data');
  execFileSync('umount', [moved]);
  const trash = join(fixture.root, 'trash');
  await fixture.reopen();
  await folderIs(trash, (names) => names.length === 0);
  assert.equal(await readFile(join(precious, 'file'), 'utf8'), 'data');
});
