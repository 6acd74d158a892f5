// Needs root: a small file system of its own.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { readdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { engineFixture, SPEC } from '../fixtures/engine.ts';

test('a full disk is said, leaves nothing half made, and is forgotten when there is space again', async (t) => {
  const { engine, root } = await engineFixture(t, (folder) => {
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=512k', 'berth-test', folder]);
    return () => void execFileSync('umount', [folder]);
  });
  await engine.workloads.create(SPEC, 'before');
  const filler = join(root, 'filler');
  await writeFile(filler, Buffer.alloc(1 << 20)).catch(() => {});
  await assert.rejects(engine.workloads.create(SPEC, 'full'), {
    code: 'exhausted',
    message: /cannot write the record of container full in .*ENOSPC/,
  });
  await assert.rejects(engine.volumes.create({ name: 'data' }), { code: 'exhausted' });
  await assert.rejects(engine.volumes.create({ name: 'data', sizeBytes: 16 << 20 }), { code: 'exhausted' });
  await assert.rejects(engine.workloads.rename('before', 'after'), { code: 'exhausted' });
  assert.equal(engine.workloads.get('before').name, 'before');
  assert.equal((await readdir(join(root, 'workloads'))).length, 1);
  assert.deepEqual(await readdir(join(root, 'volumes')), []);
  await rm(filler);
  await engine.workloads.create(SPEC, 'full');
  await engine.workloads.rename('before', 'after');
  assert.ok(existsSync((await engine.volumes.create({ name: 'data' })).mountpoint));
});
