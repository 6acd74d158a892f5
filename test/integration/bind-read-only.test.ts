// A read-only bind is so with all that the host has mounted below it, whoever writes inside.

import assert from 'node:assert/strict';
import { mkdir, mkdtemp, rmdir, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { run } from '../../src/host/index.ts';
import { CliHost } from '../fixtures/cli.ts';

let host: CliHost;
let source: string;
before(async () => {
  source = await mkdtemp(join(tmpdir(), 'berth-read-only-'));
  for (const folder of [source, join(source, 'deep'), join(source, 'deep/deeper')]) {
    await mkdir(folder, { recursive: true });
    await run('mount', ['-t', 'tmpfs', 'berth-test', folder]);
    await writeFile(join(folder, 'file'), 'old\n');
  }
  await run('mount', ['--make-rshared', source]);
  host = await CliHost.open();
  await host.ok('image', 'create', 'busybox');
});
after(async () => {
  const leaks = await host.close();
  await run('umount', ['--recursive', source]);
  await rmdir(source);
  assert.deepEqual(leaks, []);
});

/** Tries to write in all ways, and prints the ways that succeed. */
const WRITES = `for at in /b /b/deep /b/deep/deeper; do
  read text <$at/file && echo "read $text"
  (echo new >$at/file) 2>/dev/null && echo "$at: wrote"
  touch $at/made 2>/dev/null && echo "$at: made"
  rm -f $at/file 2>/dev/null; [ -e $at/file ] || echo "$at: removed"
done; true`;
const REMOUNT = 'for at in /b /b/deep /b/deep/deeper; do mount -o remount,bind,rw $at; done 2>/dev/null; ';
const NOTHING = 'read old\nread old\nread old\n';

test('in a container', async () => {
  const bind = ['run', '--rm', '-v', `${source}:/b:ro`];
  assert.equal(await host.ok(...bind, 'busybox', 'sh', '-c', WRITES), NOTHING);
  assert.equal(await host.ok(...bind, 'busybox', 'sh', '-c', REMOUNT + WRITES), NOTHING);
  assert.equal(
    await host.ok(...bind, '--user', '0', '-t', 'busybox', 'sh', '-c', WRITES),
    NOTHING.replaceAll('\n', '\r\n'),
  );
});

test('in a container whose bind lets mounts of the host in', async () => {
  const bind = ['run', '--rm', '-v', `${source}:/b:ro,rslave`];
  assert.equal(await host.ok(...bind, 'busybox', 'sh', '-c', WRITES), NOTHING);
});

test('in a VM, also against its root with all privileges', async () => {
  const bind = ['run', '--rm', '--isolation', 'vm', '--privileged', '-v', `${source}:/b:ro`];
  assert.equal(await host.ok(...bind, 'busybox', 'sh', '-c', REMOUNT + WRITES), NOTHING);
});

test('for copies into a container that does not run', async () => {
  await host.ok('create', '--name', 'held', '-v', `${source}:/b:ro`, 'busybox', 'true');
  const { code, stderr } = await host.run('cp', join(source, 'file'), 'held:/b/deep/deeper/copied');
  assert.notEqual(code, 0);
  assert.match(stderr, /read-only/i);
  await host.ok('rm', 'held');
});
