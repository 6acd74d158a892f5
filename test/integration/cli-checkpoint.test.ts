// `berth fork` and `berth checkpoint` as a user types them.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { CliHost } from '../fixtures/cli.ts';

let host: CliHost;
before(async () => {
  host = await CliHost.open();
  await host.ok('image', 'create', 'busybox');
  const script = 'i=0; while :; do i=$((i+1)); echo tick $i; sleep 0.1; done';
  await host.ok('run', '-d', '--name', 'web', '--isolation', 'vm', 'busybox', 'sh', '-c', script);
});
after(async () => {
  assert.deepEqual(await host.close(), []);
});

test('fork prints the names of the copies, or what the format says', async () => {
  assert.equal(await host.ok('fork', 'web'), 'web-1\n');
  assert.equal(await host.ok('fork', '-n', '2', '--name', 'copy', 'web'), 'copy-1\ncopy-2\n');
  const row = JSON.parse(await host.ok('fork', '--format', 'json', '--name', 'last', 'web')) as object;
  assert.deepEqual(Object.keys(row), ['ID', 'Name']);
  const names = (await host.ok('ps', '--format', '{{.Names}}')).trim().split('\n').sort();
  assert.deepEqual(names, ['copy-1', 'copy-2', 'last', 'web', 'web-1']);
  await host.ok('rm', '-f', 'copy-1', 'copy-2', 'last', 'web-1');
});

test('a checkpoint is made, listed, restored and removed', async () => {
  assert.equal(await host.ok('checkpoint', 'create', '--name', 'ready', 'web'), 'ready\n');
  assert.match(
    await host.ok('checkpoint', 'ls'),
    /^CHECKPOINT ID +NAME +WORKLOAD +IMAGE +CREATED +SIZE\n[0-9a-f]{12} +ready +web +busybox +.* ago +[\d.]+MB\n$/,
  );
  assert.match(await host.ok('rmi', 'busybox').catch(String), /checkpoint ready|is using/);
  assert.equal(await host.ok('checkpoint', 'restore', '--name', 'again', 'ready'), 'again\n');
  assert.match(await host.ok('exec', 'again', 'hostname'), /^[0-9a-f]{12}\n$/);
  assert.equal(await host.ok('checkpoint', 'rm', 'ready'), 'ready\n');
  assert.equal(await host.ok('checkpoint', 'ls', '-q'), '');
  await host.ok('rm', '-f', 'again');
});

test('events tell of checkpoints and forks', async () => {
  const text = await host.ok('events', '--since', '10m', '--until', '0s', '--filter', 'type=container');
  assert.match(text, /container checkpoint [0-9a-f]{64} \(checkpoint=ready, image=busybox, name=web\)/);
  assert.match(text, /container fork [0-9a-f]{64} \(copies=2, image=busybox, name=web\)/);
  assert.match(text, /container create [0-9a-f]{64} \(forkedFrom=[0-9a-f]{64}, image=busybox, name=copy-1\)/);
});

test('what cannot be done is said, with what to do instead', async () => {
  await host.ok('run', '-d', '--name', 'box', 'busybox', 'sleep', '600');
  const container = await host.run('fork', 'box');
  assert.notEqual(container.code, 0);
  assert.match(container.stderr, /running state of box cannot be captured.*--isolation vm/);
  assert.match((await host.run('checkpoint', 'restore', 'nothing')).stderr, /No such checkpoint: nothing/);
  assert.match((await host.run('fork', '-n', '0', 'web')).stderr, /0 copies cannot be made/);
  const huge = await host.run('run', '--rm', '--isolation', 'vm', '-m', '900g', 'busybox', 'true');
  assert.equal(huge.code, 125);
  assert.match(huge.stderr, /900 GiB of memory are more than this host has/);
  await host.ok('rm', '-f', 'box');
});
