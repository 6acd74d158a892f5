// Other users of the host reach nothing of Berth's: a set-uid file that root of a container makes would make them root.

import assert from 'node:assert/strict';
import { chmod, mkdir, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { CliHost } from '../fixtures/cli.ts';
import { abstractSockets, executeAsNobody, reachableByNobody } from '../fixtures/stranger.ts';

const TOKEN = 'berth-canary-7d1f';
/** A set-uid program in each place where a workload can put one. */
const PLANT = `for place in / /v /s; do mkdir $place/${TOKEN}; cp /bin/busybox $place/${TOKEN}/id; chmod 4755 $place/${TOKEN}/id; done; echo planted`;

let host: CliHost;
before(async () => {
  host = await CliHost.open();
  // The state root itself has to keep others out, not the folder that a test makes.
  await chmod(host.root, 0o755);
  // Versions up to 0.1 left the folder with this mode.
  await mkdir(join(host.root, 'state', 'volumes'), { recursive: true, mode: 0o755 });
  await host.ok('image', 'create', 'busybox');
  await host.ok('network', 'create', 'inner');
  await host.ok('volume', 'create', 'plain');
  await host.ok('volume', 'create', '-o', 'size=16m', 'sized');
  const mounts = ['-v', 'plain:/v', '-v', 'sized:/s'];
  for (const isolation of ['container', 'vm']) {
    const run = ['run', '-d', '--name', isolation, '--isolation', isolation, '--network', 'inner', ...mounts];
    await host.ok(...run, 'busybox', 'sh', '-c', `${PLANT}; exec sleep 1000`);
    await host.ok('exec', isolation, 'sh', '-c', `until [ -u /s/${TOKEN}/id ]; do sleep 0.1; done`);
    await host.ok('exec', '-d', isolation, 'sleep', '1000');
  }
  await host.ok(
    'run',
    '-d',
    '--name',
    'forked',
    '--isolation',
    'vm',
    '--boot',
    'fork',
    'busybox',
    'sleep',
    '1000',
  );
  await host.ok('checkpoint', 'create', '--name', 'kept', 'forked');
});
after(async () => {
  await host.run('checkpoint', 'rm', 'kept');
  const leaks = await host.close();
  assert.deepEqual(leaks, []);
});

const state = () => join(host.root, 'state');

async function setUidFiles(): Promise<string[]> {
  const ids = await readdir(join(state(), 'workloads'));
  const uppers = ids.map((id) => join(state(), 'workloads', id, 'upper', TOKEN, 'id'));
  return [...uppers, join(state(), 'volumes/plain/_data', TOKEN, 'id')];
}

async function assertClosed(start: string): Promise<void> {
  assert.deepEqual(await reachableByNobody(state(), TOKEN, start), []);
  for (const path of await setUidFiles()) assert.equal(await executeAsNobody(path), 'EACCES', path);
}

test('nothing of the state root can be reached by another user, whatever was made', async () => {
  await assertClosed('/');
  assert.deepEqual(await abstractSockets(state()), []);
});

test('a root with the modes of an older version is mended when the daemon starts, also below a closed top', async () => {
  await host.killDaemons('SIGKILL');
  const parents = ['', 'workloads', 'volumes', 'volumes/plain', 'vm', 'vm/images', 'checkpoints', 'images'];
  const ids = (await readdir(join(state(), 'workloads'))).map((id) => `workloads/${id}`);
  for (const name of [...parents, ...ids]) await chmod(join(state(), name), 0o755);
  const before = await reachableByNobody(state(), TOKEN, state());
  assert.ok(
    before.some((line) => line.endsWith('.erofs')),
    'the walk does not find what is open',
  );
  const [planted = ''] = (await setUidFiles()).slice(-1);
  assert.match(await executeAsNobody(planted), /^ran: uid=/);
  await chmod(state(), 0o700);
  await host.ok('ps');
  await assertClosed(state());
  await chmod(state(), 0o755);
  await assertClosedFolders();
});

/** Asserts that all below the open root is closed by modes of its own, and closes the root. */
async function assertClosedFolders(): Promise<void> {
  const seen = await reachableByNobody(state(), TOKEN, state());
  const deep = seen.filter((line) => line.slice(line.indexOf(' ') + state().length + 2).includes('/'));
  assert.deepEqual(deep, []);
  await chmod(state(), 0o700);
}
