// A state root that an earlier version wrote (test/fixtures/earlier-root: its records, word for word) is taken up by this one.

import assert from 'node:assert/strict';
import { mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { run } from '../../src/host/process.ts';
import { CliHost } from '../fixtures/cli.ts';

const EARLIER = join(import.meta.dirname, '../fixtures/earlier-root');
const VM = 'b7cfaeeb9f3b82f7299d7f073f5455540f38ba2bfce4872435d13daaf55be694';

let host: CliHost;
const state = (...parts: readonly string[]) => join(host.root, 'state', ...parts);

/** Puts the records into the root, as those of the image that it has. */
async function plant(image: string, layer: string): Promise<void> {
  await rm(state('networks'), { recursive: true, force: true });
  for (const name of await readdir(EARLIER, { recursive: true })) {
    if (!/(\.json|\/exit|\/f|\/layer)$/.test(name)) continue;
    const text = await readFile(join(EARLIER, name), 'latin1');
    const filled = text
      .replaceAll('@ROOT@', state())
      .replaceAll('@IMAGE@', image)
      .replaceAll('@LAYER@', layer);
    await mkdir(state(name, '..'), { recursive: true });
    await writeFile(state(name), filled, 'latin1');
  }
}

before(async () => {
  host = await CliHost.open();
  await host.ok('image', 'create', 'busybox');
  const image = (await host.ok('image', 'inspect', '-f', '{{.Id}}', 'busybox')).trim().replace('sha256:', '');
  await host.killDaemons('SIGTERM');
  const [record = ''] = (await readdir(state('images/layer-records'))).filter((name) =>
    name.endsWith('.json'),
  );
  const path = state('images/layer-records', record);
  const { foldersBytes, ...earlier } = JSON.parse(await readFile(path, 'utf8')) as Record<string, unknown>;
  assert.equal(typeof foldersBytes, 'number');
  await writeFile(path, JSON.stringify(earlier));
  await rm(state('images/covers'), { recursive: true });
  await plant(image, record.replace('.json', ''));
  // Caches of the earlier version have no seals; those of this one are not to be mistaken for it.
  await mkdir(state('vm/images'), { recursive: true });
  await mkdir(state('vm/disks'), { recursive: true });
  await writeFile(state('vm/images', `${image}.erofs`), 'earlier');
  await writeFile(
    state('vm/images', `${image}.json`),
    JSON.stringify([state('images/layers', record.replace('.json', ''))]),
  );
  await writeFile(state('vm/disks/lasting-8589934592.ext4'), 'earlier');
  const disk = state('workloads', VM, 'writable.ext4');
  await mkdir(state('disk/upper'), { recursive: true });
  await writeFile(state('disk/upper/earlier'), 'from before\n');
  await run('truncate', ['-s', '8G', disk]);
  await run('mkfs.ext4', ['-q', '-F', '-d', state('disk'), disk, '64M']);
  await rm(state('disk'), { recursive: true });
});
after(async () => {
  assert.deepEqual(await host.close(), []);
});

test('workloads, volumes, networks, images and disks of an earlier version are those of this one', async () => {
  const names = (await host.ok('ps', '-a', '--format', '{{.Names}} {{.State}}')).trim().split('\n');
  assert.deepEqual(names.sort(), ['kept exited', 'made created', 'vm exited']);
  assert.match(
    await host.ok('network', 'inspect', '-f', '{{json .IPAM.Config}}', 'oldnet'),
    /10\.91\.0\.0\/24/,
  );
  assert.equal(await host.ok('inspect', '-f', '{{index .Config.Labels "x"}}', 'made'), 'y\n');
  await host.ok('start', 'kept');
  assert.equal(await host.ok('exec', 'kept', 'cat', '/v/f', '/layer'), 'from-before\nlayer\n');
  assert.match(await host.ok('start', '-a', 'made'), /^root:/);
  await host.ok('start', '-a', 'vm');
  await host.ok('cp', 'vm:/earlier', join(host.root, 'copied'));
  assert.equal(await readFile(join(host.root, 'copied'), 'utf8'), 'from before\n');
  assert.ok(!(await readdir(state('vm/images'))).some((name) => /^[0-9a-f]+\.erofs$/.test(name)));
  await host.ok('rm', '-f', 'kept', 'made', 'vm');
  await host.ok('volume', 'rm', 'oldvol');
  await host.ok('network', 'rm', 'oldnet');
});
