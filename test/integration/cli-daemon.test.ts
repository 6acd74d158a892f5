import assert from 'node:assert/strict';
import { readdir, readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { CLI, CliHost, Running } from '../fixtures/cli.ts';

let host: CliHost;

before(async () => {
  host = await CliHost.open();
});

after(async () => {
  assert.deepEqual(await host.close(), []);
});

test('without a daemon and forbidden to start one, the command says so', async () => {
  host.env['BERTH_AUTOSTART'] = '0';
  const { code, stderr } = await host.run('ps');
  delete host.env['BERTH_AUTOSTART'];
  assert.equal(code, 1);
  assert.match(stderr, /cannot connect to the Berth daemon at unix:.*\n.*BERTH_AUTOSTART=0/);
});

test('commands that come at once start one daemon between them', async () => {
  const results = await Promise.all(Array.from({ length: 4 }, () => host.run('ps', '-q')));
  for (const { code, stderr } of results) assert.equal(code, 0, stderr);
  // Those that found the lock taken end by themselves, and one stays.
  await host.daemonsLeft(1);
  assert.equal((await host.run('ps')).code, 0);
});

test('a daemon started on demand takes nothing of its caller: no variables, no open files, no control group', async () => {
  await host.killDaemons('SIGTERM');
  const env = { ...host.env, SECRET_OF_CALLER: 'x', NODE_OPTIONS: '--no-warnings', LD_PRELOAD: '' };
  const command = ['bash', '-c', 'exec 57</etc/hostname; exec "$@"', 'bash', ...CLI];
  const berth = async (...args: string[]) => {
    const { code, stdout, stderr } = await new Running([...command, ...args], env, host.root).done;
    assert.equal(code, 0, stderr);
    return stdout.trim();
  };
  await berth('image', 'create', 'busybox');
  const id = await berth('run', '-d', '--init', '--name', 'child', 'busybox', 'sleep', '1000');
  const [daemon] = (await host.daemonPids()).slice(-1);
  const main = Number(await berth('inspect', '-f', '{{.State.Pid}}', id));
  const shim = Number(/^PPid:\s+(\d+)$/m.exec(await readFile(`/proc/${main}/status`, 'utf8'))?.[1]);
  for (const pid of [daemon, shim, main]) {
    assert.doesNotMatch(
      await readFile(`/proc/${pid}/environ`, 'utf8'),
      /SECRET_OF_CALLER|NODE_OPTIONS|LD_PRELOAD|HOME=.*berth-cli/,
    );
    assert.ok(!(await readdir(`/proc/${pid}/fd`)).includes('57'), `${pid} has the caller's file`);
  }
  // The container's init is a copy: root inside cannot change the host's program.
  const [seen, own] = await Promise.all([
    stat(join(`/proc/${main}`, 'root', 'sbin/docker-init')),
    stat(`/proc/${shim}/exe`),
  ]);
  assert.notDeepEqual([seen.dev, seen.ino], [own.dev, own.ino]);
  await berth('rm', '-f', 'child');
});

test('a daemon that was killed is replaced by the next command', async () => {
  await host.killDaemons('SIGKILL');
  assert.equal((await host.run('ps')).code, 0);
});

test('a daemon that cannot start is reported with its last words', async () => {
  await host.killDaemons('SIGTERM');
  const failing = join(host.root, 'failing');
  await writeFile(failing, '#!/bin/sh\necho "no room on the moon" >&2\nexit 3\n', { mode: 0o755 });
  const node = host.env['BERTH_NODE'];
  host.env['BERTH_NODE'] = failing;
  const { code, stderr } = await host.run('ps');
  host.env['BERTH_NODE'] = node;
  assert.notEqual(code, 0);
  assert.match(stderr, /ended with exit code 3/);
  assert.match(stderr, /no room on the moon/);
  assert.match(stderr, /daemon\.log/);
});

test('serve runs a daemon in the foreground until it is told to end', async () => {
  const serving = host.start('serve');
  // It says that it listens on one of its outputs; a command that finds it proves it.
  await serving.until(/listening/);
  host.env['BERTH_AUTOSTART'] = '0';
  assert.equal((await host.run('ps')).code, 0);
  serving.child.kill('SIGTERM');
  assert.equal((await serving.done).code, 0);
  assert.equal((await host.run('ps')).code, 1);
  delete host.env['BERTH_AUTOSTART'];
});
