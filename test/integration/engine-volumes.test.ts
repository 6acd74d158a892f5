// Needs root: the layers of an image are merged by the kernel.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { chmod, chown, mkdir, readdir, readFile, stat, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { engineFixture, SPEC } from '../fixtures/engine.ts';

const volume = (target: string, change = {}) => ({
  ...{ type: 'volume' as const, name: 'data', target, readonly: false, noCopy: false },
  ...change,
});

/** Three layers: files; one of them hidden and a folder replaced; links in and out. */
async function layeredFixture(t: TestContext) {
  const fixture = await engineFixture(t);
  const layers = ['low', 'mid', 'top'].map((name) => join(fixture.root, 'layers', name));
  const [low = '', mid = '', top = ''] = layers;
  await mkdir(join(low, 'srv/data/sub'), { recursive: true });
  for (const name of ['kept', 'hidden', 'sub/old']) await writeFile(join(low, 'srv/data', name), name);
  await mkdir(join(mid, 'srv/data/sub'), { recursive: true });
  execFileSync('mknod', [join(mid, 'srv/data/hidden'), 'c', '0', '0']);
  const opaque = ['-c', 'import os,sys; os.setxattr(sys.argv[1], "trusted.overlay.opaque", b"y")'];
  execFileSync('python3', [...opaque, join(mid, 'srv/data/sub')]);
  await writeFile(join(mid, 'srv/data/sub/new'), 'new');
  await chown(join(mid, 'srv/data'), 12, 34);
  await chmod(join(mid, 'srv/data'), 0o751);
  await mkdir(top);
  await symlink('/srv', join(top, 'inside'));
  await symlink('/etc', join(top, 'outside'));
  fixture.images.layers = layers;
  return fixture;
}

test('a new volume is filled with what the merged layers have at its place', async (t) => {
  const { engine } = await layeredFixture(t);
  await engine.workloads.create({ ...SPEC, mounts: [volume('/inside/data')] });
  const { mountpoint } = engine.volumes.get('data');
  assert.deepEqual((await readdir(mountpoint, { recursive: true })).toSorted(), ['kept', 'sub', 'sub/new']);
  const { uid, gid, mode } = await stat(mountpoint);
  assert.deepEqual([uid, gid, mode & 0o777], [12, 34, 0o751]);
});

test('a volume that holds something, or is not to be filled, is left as it is', async (t) => {
  const { engine } = await layeredFixture(t);
  await engine.workloads.create({ ...SPEC, mounts: [volume('/srv/data', { noCopy: true })] });
  const { mountpoint } = engine.volumes.get('data');
  assert.deepEqual(await readdir(mountpoint), []);
  await writeFile(join(mountpoint, 'own'), 'own');
  await engine.workloads.create({ ...SPEC, mounts: [volume('/srv/data')] });
  assert.deepEqual(await readdir(mountpoint), ['own']);
});

test('no link of an image leads to files of the host, and no mount stays', async (t) => {
  const { engine, root } = await layeredFixture(t);
  for (const target of ['/outside', '/outside/../../etc', '/missing/deep', '/srv/data/kept'])
    await engine.workloads.create({ ...SPEC, mounts: [volume(target)] });
  assert.deepEqual(await readdir(engine.volumes.get('data').mountpoint), []);
  assert.ok(!(await readFile('/proc/self/mountinfo', 'utf8')).includes(root));
});
