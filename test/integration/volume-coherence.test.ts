// What a container and a virtual machine that share a volume see of each other: docs/storage.md says the same in words.

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { CliHost } from '../fixtures/cli.ts';

const SOURCE = join(import.meta.dirname, '../fixtures/coherence.c');
/** As long as a guest may trust what it knows of names, sizes and times; a little more, for the clocks. */
const TRUST = 'sleep 1.2';

let host: CliHost;
const inside = (name: string, script: string) => host.ok('exec', name, 'sh', '-c', script);
const container = (script: string) => inside('container', script);
const vm = (script: string) => inside('vm', script);

before(async () => {
  host = await CliHost.open();
  await host.ok('image', 'create', 'busybox');
  await host.ok('volume', 'create', 'shared');
  const data = (await host.ok('volume', 'inspect', '-f', '{{.Mountpoint}}', 'shared')).trim();
  execFileSync('musl-gcc', ['-static', '-o', join(data, 'coherence'), SOURCE]);
  await Promise.all(
    ['container', 'vm'].map((isolation) =>
      host.ok(
        ...['run', '-d', '--name', isolation, '--isolation', isolation, '--network', 'none'],
        ...['-v', 'shared:/v', 'busybox', 'sleep', '600'],
      ),
    ),
  );
});
after(async () => {
  assert.deepEqual(await host.close(), []);
});

test('what a VM writes, makes, renames and removes, a container sees at once, before it is closed or flushed', async () => {
  const writer = host.start(
    'exec',
    '-i',
    'vm',
    'sh',
    '-c',
    'exec 3> /v/open; printf early >&3; echo ready; cat',
  );
  await writer.until(/ready/);
  assert.equal(await container('cat /v/open'), 'early');
  writer.child.stdin?.end();
  await writer.done;
  await vm('echo one > /v/file; mkdir -p /v/folder; mv /v/file /v/folder/moved; rm /v/open');
  assert.equal(await container('cat /v/folder/moved; ls /v'), 'one\ncoherence\nfolder\n');
});

test('what a container makes, a VM sees at once unless it has just looked, and then within a second', async () => {
  await container('echo first > /v/fresh');
  assert.equal(await vm('cat /v/fresh; ls /v/later 2>/dev/null || echo absent'), 'first\nabsent\n');
  await container('echo other > /v/fresh; echo more >> /v/fresh; echo later > /v/later');
  assert.equal(await vm(`${TRUST}; cat /v/fresh /v/later`), 'other\nmore\nlater\n');
  await container('mv /v/fresh /v/renamed; rm /v/later');
  assert.equal(await vm(`${TRUST}; ls /v; cat /v/renamed`), 'coherence\nfolder\nrenamed\nother\nmore\n');
});

test('a mapped file goes both ways with msync and a new mapping', async () => {
  await container(
    'dd if=/dev/zero of=/v/mapped bs=4096 count=1 2>/dev/null; printf before | dd of=/v/mapped conv=notrunc 2>/dev/null',
  );
  const mapping = host.start('exec', '-i', 'vm', '/v/coherence', 'map', '/v/mapped');
  await mapping.until(/mapped before\nwritten/);
  assert.equal(await container('head -c 6 /v/mapped'), 'mapped');
  mapping.child.stdin?.end();
  assert.equal((await mapping.done).code, 0);
  await container('printf bottom | dd of=/v/mapped conv=notrunc 2>/dev/null');
  assert.match((await host.run('exec', 'vm', '/v/coherence', 'map', '/v/mapped')).stdout, /^mapped bottom/);
});

test('locks hold among the processes of one kernel only: a VM does not see those of a container', async () => {
  await container('touch /v/lock');
  const lock = (name: string) => host.run('exec', name, '/v/coherence', 'locks', '/v/lock');
  const holder = host.start('exec', '-i', 'container', '/v/coherence', 'locks', '/v/lock');
  await holder.until(/fcntl granted flock granted/);
  assert.equal((await lock('container')).stdout, 'fcntl refused flock refused\n');
  assert.equal((await lock('vm')).stdout, 'fcntl granted flock granted\n');
  holder.child.stdin?.end();
  await holder.done;
});
