// Mounts made later, on the host or in a container, and binds that let them through.

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { CliHost } from '../fixtures/cli.ts';

let host: CliHost;
let shared = '';
const mount = (...args: string[]) => execFileSync('mount', args);
const mountsOfHost = () => readFileSync('/proc/self/mountinfo', 'utf8');

before(async () => {
  host = await CliHost.open();
  await host.ok('image', 'create', 'busybox');
  shared = join(host.root, 'tree');
  mkdirSync(shared);
  mount('-t', 'tmpfs', '-o', 'size=1m', 'berth-test', shared);
  mount('--make-shared', shared);
});
after(async () => {
  execFileSync('umount', ['-R', shared]);
  assert.deepEqual(await host.close(), []);
});

const run = (propagation: string) =>
  host.ok(
    ...['run', '-d', '--name', propagation, '--privileged', '--network', 'none'],
    ...['-v', `${shared}:/x:${propagation}`, 'busybox', 'sleep', '600'],
  );

test('a later mount of the host reaches slave and shared binds, and one in a container only a shared one of the host', async () => {
  for (const propagation of ['rprivate', 'rslave', 'rshared']) await run(propagation);
  mkdirSync(join(shared, 'late'));
  mount('-t', 'tmpfs', '-o', 'size=1m', 'berth-test', join(shared, 'late'));
  writeFileSync(join(shared, 'late/seen'), '');
  for (const [propagation, seen] of [
    ['rprivate', ''],
    ['rslave', 'seen\n'],
    ['rshared', 'seen\n'],
  ] as const) {
    assert.equal(await host.ok('exec', propagation, 'ls', '/x/late'), seen);
    const point = `from-${propagation}`;
    mkdirSync(join(shared, point));
    await host.ok('exec', propagation, 'mount', '-t', 'tmpfs', 'berth-test', `/x/${point}`);
    assert.equal(mountsOfHost().includes(`${shared}/${point} `), propagation === 'rshared');
  }
  await host.ok('rm', '-f', 'rprivate', 'rslave', 'rshared');
});

test('propagation that the host’s mount does not have is refused, and so is any in a VM', async () => {
  const plain = join(host.root, 'plain');
  mkdirSync(plain);
  mount('-t', 'tmpfs', '-o', 'size=1m', 'berth-test', plain);
  mount('--make-private', plain);
  try {
    const refused = async (propagation: string, ...args: string[]) =>
      (await host.run('create', ...args, '-v', `${plain}:/x:${propagation}`, 'busybox')).stderr;
    assert.match(await refused('rshared'), /is mounted on \S+ but it is not a shared mount: make it one/);
    assert.match(await refused('rslave'), /it is not a shared or slave mount/);
    assert.match(
      await refused('rslave', '--isolation', 'vm'),
      /mount propagation does not cross into a guest/,
    );
  } finally {
    execFileSync('umount', [plain]);
  }
});
