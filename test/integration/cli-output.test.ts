import assert from 'node:assert/strict';
import { rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { CliHost } from '../fixtures/cli.ts';

let host: CliHost;

before(async () => {
  host = await CliHost.open();
  await host.ok('image', 'create', 'busybox');
  await host.ok(
    'create',
    '--name',
    'one',
    '-l',
    'tier=front',
    'busybox',
    'echo',
    'a long command line of many words',
  );
  assert.equal((await host.run('run', '--name', 'two', 'busybox', 'sh', '-c', 'exit 3')).code, 3);
});

after(async () => {
  assert.deepEqual(await host.close(), []);
});

test('ps is a table, quiet, filtered, a template or JSON', async () => {
  const table = await host.ok('ps', '-a');
  assert.match(table, /^CONTAINER ID +IMAGE +ISOLATION +COMMAND +CREATED +STATUS +PORTS +NAMES\n/);
  assert.match(table, /busybox +container +"echo 'a long comman…" .*Created +one\n/);
  assert.match(table, /Exited \(3\) .* ago +two\n/);
  assert.match(await host.ok('ps'), /^CONTAINER ID .*NAMES\n$/);
  assert.match(await host.ok('ps', '-aq', '--no-trunc', '--filter', 'name=two'), /^[0-9a-f]{64}\n$/);
  assert.equal(
    await host.ok('ps', '-a', '--filter', 'label=tier=front', '--format', '{{.Names}} {{.Label "tier"}}'),
    'one front\n',
  );
  const rows = (await host.ok('ps', '-a', '--format', 'json')).trim().split('\n');
  assert.deepEqual(rows.map((row) => (JSON.parse(row) as { Names: string }).Names).sort(), ['one', 'two']);
  assert.match(await host.ok('ps', '-a', '--format', 'table {{.Names}}\\t{{.State}}'), /^NAMES +STATE\n/);
});

test('a wrong template is refused with its place and what there is', async () => {
  const { code, stderr } = await host.run('ps', '-a', '--format', 'x {{.Naem}}');
  assert.equal(code, 1);
  assert.match(stderr, /line 1, column 5: there is no field \.Naem; there are ID, Image/);
});

test('inspect finds workloads, images and networks, and names what it does not find', async () => {
  const { code, stdout, stderr } = await host.run('inspect', 'two', 'busybox', 'none', 'nothing-here');
  assert.equal(code, 1);
  assert.match(stderr, /^Error: No such object: nothing-here\n$/);
  assert.equal((JSON.parse(stdout) as unknown[]).length, 3);
  assert.equal(
    await host.ok('inspect', '-f', '{{.State.ExitCode}} {{json .Config.Cmd}}', 'two'),
    '3 ["sh","-c","exit 3"]\n',
  );
});

test('several objects are done side by side and one failure makes the exit code 1', async () => {
  await host.ok('create', '--name', 'three', 'busybox');
  const { code, stdout, stderr } = await host.run('rm', 'three', 'nothing-here');
  assert.deepEqual([code, stdout], [1, 'three\n']);
  assert.match(stderr, /No such container: nothing-here/);
});

test('images are listed, named, saved, removed and loaded', async () => {
  assert.match(
    await host.ok('images'),
    /^REPOSITORY +TAG +IMAGE ID +CREATED +SIZE\nbusybox +latest +[0-9a-f]{12} .*MB\n$/,
  );
  await host.ok('tag', 'busybox', 'other:1');
  const id = await host.ok('images', '-q', '--no-trunc', 'other:1');
  const file = join(host.root, 'other.tar');
  await host.ok('save', '-o', file, 'other:1');
  assert.match(await host.ok('rmi', 'other:1'), /^Untagged: other:1\n$/);
  assert.match(await host.ok('load', '-i', file), /Loaded image: other:1\n$/);
  assert.equal(await host.ok('images', '-q', '--no-trunc', 'other:1'), id);
  assert.match(await host.ok('history', 'other:1'), /^IMAGE +CREATED +CREATED BY +SIZE +COMMENT\n/);
});

test('what is no archive is refused and an archive never fills a terminal', async () => {
  const file = join(host.root, 'text');
  await writeFile(file, 'no archive at all');
  const refused = await host.run('load', '-i', file);
  assert.equal(refused.code, 1);
  assert.match(refused.stderr, /^Error response from daemon: /);
  assert.match((await host.run('load', '-i', join(host.root, 'absent'))).stderr, /there is no such file/);
  const shown = host.onTerminal('berth save busybox');
  assert.equal((await shown.done).code, 1);
  assert.match((await shown.done).stdout, /refusing to write an archive to the terminal/);
});

test('a file that stays incomplete is removed', async () => {
  const file = join(host.root, 'partial.tar');
  await rm(file, { force: true });
  assert.equal((await host.run('save', '-o', file, 'not-here')).code, 1);
  await assert.rejects(stat(file), { code: 'ENOENT' });
});

test('volumes come and go', async () => {
  await host.ok('volume', 'create', '--label', 'a=b', 'data');
  await host.ok('run', '--rm', '-v', 'data:/d', 'busybox', 'sh', '-c', 'echo kept > /d/f');
  assert.equal(await host.ok('run', '--rm', '-v', 'data:/d:ro', 'busybox', 'cat', '/d/f'), 'kept\n');
  assert.equal(await host.ok('volume', 'ls', '-q'), 'data\n');
  assert.equal(await host.ok('volume', 'inspect', '-f', '{{.Labels.a}}', 'data'), 'b\n');
  assert.equal(await host.ok('volume', 'rm', 'data'), 'data\n');
});

test('events tell what happened, as lines or JSON', async () => {
  const text = await host.ok('events', '--since', '10m', '--until', '0s', '--filter', 'container=two');
  assert.match(text, /^\S+Z container create [0-9a-f]{64} \(.*name=two.*\)$/m);
  assert.match(text, /container die .*exitCode=3/);
  const line =
    (await host.ok('events', '--since', '10m', '--until', '0s', '--format', 'json')).split('\n')[0] ?? '';
  assert.equal((JSON.parse(line) as { Type: string }).Type.length > 0, true);
  const names =
    '{{.Type}} {{.Action}} {{.Status}} {{.From}} {{.ID}} {{.Actor.ID}} {{.Scope}} {{.Time}} {{.TimeNano}}';
  const named = ['events', '--since', '10m', '--until', '0s', '--filter', 'container=two', '--format', names];
  assert.match(await host.ok(...named), /^container create create busybox ([0-9a-f]{64}) \1 local \d+ \d+$/m);
});

test('prune asks first and does nothing without a yes', async () => {
  await host.ok('create', '--name', 'stale', 'busybox');
  const { stdout } = await host.feed('n\n', 'container', 'prune');
  assert.match(stdout, /WARNING! This will remove all stopped workloads\.\nAre you sure/);
  assert.match(await host.ok('ps', '-a', '--format', '{{.Names}}'), /stale/);
  assert.match(
    (await host.feed('y\n', 'container', 'prune')).stdout,
    /Deleted workloads:[\s\S]*Total reclaimed space/,
  );
  assert.equal(await host.ok('ps', '-aq'), '');
});

test('system commands show the host, disk use and versions', async () => {
  assert.match(await host.ok('info'), /Isolation container: usable[\s\S]*Isolation vm: /);
  assert.match(await host.ok('system', 'df'), /^TYPE +TOTAL +ACTIVE +SIZE +RECLAIMABLE\nImages +1 /);
  assert.match(await host.ok('version'), /^Client:\n Version: +\d[\s\S]*Server:\n Version: +\d/);
  assert.match(await host.ok('version', '-f', '{{.Server.ApiVersion}}'), /^1\.\d+\n$/);
  assert.match(await host.ok('network', 'ls'), /none/);
});

test('settings are listed, changed, kept and given back', async () => {
  assert.match(
    await host.ok('config', 'ls'),
    /^NAME +VALUE +DEFAULT +DESCRIPTION\nvm.pool.machines +6 +6 +Most/,
  );
  await host.ok('config', 'set', 'vm.pool.memory', '1.5g');
  assert.equal(await host.ok('config', 'get', 'vm.pool.memory'), '1536m\n');
  await host.killDaemons('SIGKILL');
  assert.equal(await host.ok('config', 'get', 'vm.pool.memory'), '1536m\n');
  assert.equal(await host.ok('config', 'unset', 'vm.pool.memory'), 'vm.pool.memory\n');
  assert.equal(await host.ok('config', 'get', 'vm.pool.memory'), '512m\n');
  assert.match(
    (await host.run('config', 'set', 'vm.pool.memory', 'lots')).stderr,
    /"lots" for vm.pool.memory/,
  );
  assert.match(
    (await host.run('config', 'set', 'nothing', '1')).stderr,
    /no setting nothing; there are vm.pool/,
  );
  assert.match((await host.run('config', 'get', 'nothing')).stderr, /no setting nothing/);
});

test('help is found everywhere', async () => {
  assert.match(await host.ok('--help'), /Command groups:/);
  assert.match(await host.ok('image', '--help'), /berth image COMMAND/);
  assert.match(await host.ok('run', '--help'), /Examples:\n {2}berth run --rm busybox echo hello/);
  const unknown = await host.run('rnu');
  assert.equal(unknown.code, 1);
  assert.match(unknown.stderr, /'rnu' is not a berth command\.\nDid you mean 'berth run'\?/);
});

test('a reader that goes away ends the command without a word', async () => {
  const shell = host.onTerminal('berth run --rm busybox seq 1 200000 2>err | head -n 1; cat err');
  assert.match((await shell.done).stdout.replaceAll('\r', ''), /^1\n$/);
});
