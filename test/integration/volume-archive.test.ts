// Backup and restore of volumes, by the command line and through deaths of the daemon.

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdir, readdir, readFile, rename, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { CliHost } from '../fixtures/cli.ts';
import { folderIs } from '../fixtures/engine.ts';
import { findLoopDevices } from '../fixtures/engine-leaks.ts';

let host: CliHost;
before(async () => {
  host = await CliHost.open();
  await host.ok('image', 'create', 'busybox');
});
after(async () => {
  assert.deepEqual(await host.close(), []);
});

const inside = (volume: string, script: string) =>
  host.ok('run', '--rm', '--network', 'none', '-v', `${volume}:/v`, 'busybox', 'sh', '-c', script);
const folderOf = (volume: string) => join(host.root, 'state/volumes', volume);

/** Everything that a tar can tell of a tree. */
function describeTree(folder: string): string {
  const script = `
    find . -exec stat -c '%n %F %a %u:%g %Y %h %N %t' {} + | sort
    python3 -c 'import os; print([(n, os.getxattr("d" + n, a)) for n in ("", "/file") for a in os.listxattr("d" + n)])'
    find . -type f -exec sha256sum {} + | sort
    du -sk . | cut -f1 | awk '{ print ($1 < 4096) }'`;
  return execFileSync('sh', ['-c', script], { cwd: folder }).toString();
}

test('a backup and its restore keep owners, modes, times, links, devices, attributes and holes', async () => {
  await host.ok('volume', 'create', 'rich');
  const data = join(folderOf('rich'), '_data');
  const script = `
    mkdir -m 2751 d; echo one > d/file; chmod 4711 d/file; chown 12:34 d d/file; ln d/file hard; ln -s /etc/passwd soft
    mkfifo pipe; mknod null c 1 3; : > .wh.kept; echo plain > 'odd name
'; truncate -s 64M sparse; printf x | dd of=sparse bs=1 seek=30M conv=notrunc 2>/dev/null
    touch -d '2001-02-03 04:05:06' d/file d; chmod 1770 .; chown 7:8 .
    python3 -c 'import os; os.setxattr("d/file", "user.note", b"kept"); os.setxattr("d", "trusted.secret", b"too")'`;
  execFileSync('sh', ['-c', script], { cwd: data });
  const archive = join(host.root, 'rich.tar');
  await host.ok('volume', 'backup', '-o', archive, 'rich');
  execFileSync('gzip', ['-k', archive]);
  await host.ok('volume', 'create', '-o', 'size=32m', 'limited');
  for (const [volume, path] of [
    ['made-for-it', archive],
    ['limited', `${archive}.gz`],
  ] as const) {
    assert.equal(await host.ok('volume', 'restore', '-i', path, volume), `${volume}\n`);
    if (volume === 'limited')
      assert.match(await inside(volume, 'cat /v/d/file; stat -c %u:%a /v'), /^one\n7:1770\n/);
    else assert.equal(describeTree(join(folderOf(volume), '_data')), describeTree(data));
  }
  // What lies in an image file can be backed up, too.
  await host.ok('volume', 'backup', '-o', archive, 'limited');
  await host.ok('volume', 'restore', '-i', archive, 'again');
  assert.equal(describeTree(join(folderOf('again'), '_data')), describeTree(data));
});

test('a restore that fails leaves the old content, and no volume that was not there before', async () => {
  await host.ok('volume', 'create', '-o', 'size=8m', 'firm');
  await inside('firm', 'echo old > /v/file');
  const folder = join(host.root, 'big');
  await mkdir(folder);
  await writeFile(join(folder, 'big'), Buffer.alloc(12 << 20, 'x'));
  const archive = join(host.root, 'big.tar');
  execFileSync('tar', ['-cf', archive, '-C', folder, '.']);
  const restore = async (path: string, volume: string) =>
    (await host.run('volume', 'restore', '-i', path, volume)).stderr;
  assert.match(await restore(archive, 'firm'), /restore firm: .*old and new content must fit together/);
  assert.match(await restore(join(folder, 'big'), 'firm'), /restore firm: /);
  // Cut where an entry ends: nothing but the missing end mark tells.
  await truncate(archive, 512);
  assert.match(await restore(archive, 'firm'), /cut short/);
  assert.match(await restore(archive, 'fresh'), /cut short/);
  const evil = join(host.root, 'evil.tar');
  execFileSync('tar', ['-cPf', evil, '--transform', 's,^.*$,../../escaped,', join(folder, 'big')]);
  assert.match(await restore(evil, 'firm'), /restore firm: /);
  assert.equal(await inside('firm', 'ls -A /v; cat /v/file'), 'file\nold\n');
  assert.equal((await host.ok('volume', 'ls', '-q')).includes('fresh'), false);
  assert.deepEqual((await readdir(folderOf('firm'))).sort(), ['_data', 'volume.ext4', 'volume.json']);
});

test('a volume in use is restored only when forced, and its workload sees the new content', async () => {
  await host.ok('volume', 'create', 'busy');
  await inside('busy', 'echo old > /v/file; mkdir /v/sub');
  const archive = join(host.root, 'busy.tar');
  await host.ok('volume', 'backup', '-o', archive, 'busy');
  await host.ok(
    ...['run', '-d', '--name', 'user', '--network', 'none', '-v', 'busy:/v', 'busybox', 'sleep', '600'],
  );
  await host.ok('exec', 'user', 'sh', '-c', 'echo new > /v/file; echo more > /v/more');
  const { stderr } = await host.run('volume', 'restore', '-i', archive, 'busy');
  assert.match(stderr, /restore busy: volume is in use - \[[0-9a-f]{64}\]: stop them, or force it/);
  await host.ok('volume', 'restore', '--force', '-i', archive, 'busy');
  assert.equal(await host.ok('exec', 'user', 'sh', '-c', 'ls /v; cat /v/file'), 'file\nsub\nold\n');
  await host.ok('rm', '-f', 'user');
});

test('the daemon dies in the middle of a restore: the next one has the old content and nothing is left', async () => {
  const volumes = [
    ['plain', []],
    ['sized', ['-o', 'size=16m']],
  ] as const;
  const header = (await readFile(join(host.root, 'busy.tar'))).subarray(0, 1024);
  for (const [volume, args] of volumes) {
    await host.ok('volume', 'create', ...args, volume);
    await inside(volume, 'echo old > /v/file');
    const restore = host.start('volume', 'restore', volume);
    restore.child.stdin?.write(header);
    await folderIs(folderOf(volume), (names) => names.includes('restoring'));
    await host.killDaemons('SIGKILL');
    restore.child.stdin?.end();
    assert.notEqual((await restore.done).code, 0);
    assert.equal(await inside(volume, 'ls -A /v; cat /v/file'), 'file\nold\n');
    assert.equal((await readdir(folderOf(volume))).includes('restoring'), false);
    assert.equal((await readdir(folderOf(volume))).includes('.new'), false);
  }
  assert.deepEqual(await findLoopDevices(host.root), []);
});

test('a restore that was interrupted while its entries were moved is undone or finished at the next start', async () => {
  for (const [volume, left, expected] of [
    ['undone', '.old', 'old\n'],
    ['finished', '.done', 'new\n'],
  ] as const) {
    await host.ok('volume', 'create', volume);
    const folder = folderOf(volume);
    await mkdir(join(folder, '.new'));
    await mkdir(join(folder, left));
    await writeFile(join(folder, left, 'file'), 'old\n');
    await writeFile(join(folder, '.new/file'), 'new\n');
    for (const name of ['.time', 'restoring']) await writeFile(join(folder, name), '');
    await host.killDaemons('SIGKILL');
    assert.equal(await inside(volume, 'ls -A /v; cat /v/file'), `file\n${expected}`);
    assert.deepEqual((await readdir(folder)).sort(), ['_data', 'volume.json']);
  }
});

test('a backup holds its volume, ends with its client, and a terminal gets none', async () => {
  await host.ok('volume', 'create', 'large');
  const data = join(folderOf('large'), '_data/file');
  await writeFile(data, Buffer.alloc(8 << 20, 'x'));
  const backup = host.start('volume', 'backup', 'large');
  backup.child.stdout?.pause();
  await new Promise((resolve) => backup.child.stdout?.once('readable', resolve));
  assert.match((await host.run('volume', 'rm', 'large')).stderr, /the volume is being backed up/);
  backup.child.kill('SIGKILL');
  backup.child.stdout?.destroy();
  await backup.done;
  const terminal = await host.onTerminal('berth volume backup large').done;
  assert.match(terminal.stdout, /refusing to write an archive to the terminal/);
  await rename(data, `${data}.moved`);
});
