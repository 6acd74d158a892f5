// The size limit of the writable layer, as a user sets it.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { CliHost } from '../fixtures/cli.ts';
import { findLoopDevices } from '../fixtures/engine-leaks.ts';

let host: CliHost;
before(async () => {
  host = await CliHost.open();
  await host.ok('image', 'create', 'busybox');
});
after(async () => {
  assert.deepEqual(await host.close(), []);
});

const FILL =
  'cat /kept 2>/dev/null; echo kept > /kept; dd if=/dev/zero of=/full bs=64k count=800 2>&1; rm /full';

for (const isolation of ['container', 'vm'])
  test(`a writable layer of 32 MiB in a ${isolation} is full at that, only inside, and survives a restart`, async () => {
    const create = [
      'create',
      '--name',
      isolation,
      '--isolation',
      isolation,
      '--network',
      'none',
      '--storage-opt',
      'size=32m',
    ];
    await host.ok(...create, 'busybox', 'sh', '-c', FILL);
    const first = await host.ok('start', '-a', isolation);
    assert.match(first, /No space left on device/);
    const written = Number(/(\d+) bytes/.exec(first)?.[1] ?? /(\d+)\+0 records out/.exec(first)?.[1]) || 0;
    // Whole blocks of 64 KiB.
    const mib = written > 10_000 ? written / 2 ** 20 : written / 16;
    assert.ok(mib >= 31 && mib < 40, first);
    assert.match(await host.ok('start', '-a', isolation), /^kept\n/);
    const format = '{{.HostConfig.StorageOpt.size}}';
    assert.equal(await host.ok('inspect', '-f', format, isolation), `${32 << 20}\n`);
    assert.match(await host.ok('diff', isolation), /^A \/kept$/m);
    const { stdout } = await host.run('cp', `${isolation}:/kept`, '-');
    assert.match(stdout, /kept/);
    assert.match(await host.ok('ps', '-as', '--format', '{{.Size}}'), /MB|kB/);
    await host.ok('rm', isolation);
    assert.deepEqual(await findLoopDevices(host.root), []);
  });

test('a limit that cannot be is refused, and nothing is left of the workload', async () => {
  const run = async (...args: string[]) =>
    (await host.run('run', '--rm', '--network', 'none', ...args, 'busybox', 'true')).stderr;
  assert.match(await run('--storage-opt', 'size=1m'), /between 8m and 15t/);
  assert.match(await run('--storage-opt', 'size=wide'), /'wide' is not a size/);
  assert.match(await run('--storage-opt', 'depth=1'), /StorageOpt depth is not supported: only size is/);
  assert.equal(await host.ok('ps', '-aq'), '');
});

test('a container of limited size runs on when the daemon is killed, and leaves no loop device', async () => {
  await host.ok(
    'run',
    '-d',
    '--rm',
    '--name',
    'limited',
    '--network',
    'none',
    '--storage-opt',
    'size=16m',
    'busybox',
    'sleep',
    '600',
  );
  await host.killDaemons('SIGKILL');
  await host.ok('exec', 'limited', 'sh', '-c', 'echo on > /file');
  assert.equal(await host.ok('exec', 'limited', 'cat', '/file'), 'on\n');
  await host.ok('rm', '-f', 'limited');
  assert.deepEqual(await findLoopDevices(host.root), []);
});
