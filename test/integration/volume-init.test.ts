// Volumes that an image asks for, read-only volumes and tmpfs: the same in both isolations.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { CliHost } from '../fixtures/cli.ts';

let host: CliHost;
before(async () => {
  host = await CliHost.open();
  await host.ok('image', 'create', 'busybox');
  const script = 'mkdir -p /srv/data; echo seed > /srv/data/file; chown 12:34 /srv/data; chmod 751 /srv/data';
  await host.ok('run', '--name', 'maker', '--network', 'none', 'busybox', 'sh', '-c', script);
  await host.ok('commit', '--change', 'VOLUME /srv/data', 'maker', 'seeded');
  await host.ok('rm', 'maker');
});
after(async () => {
  assert.deepEqual(await host.close(), []);
});

const SCRIPT = `
  cat /srv/data/*; stat -c '%u:%g %a' /srv/data; echo more > /srv/data/more
  echo x > /ro/x 2>/dev/null || echo refused; cat /ro/file
  dd if=/dev/zero of=/scratch/full bs=1k count=2000 2>/dev/null; stat -c '%s %a' /scratch/full /scratch`;

for (const isolation of ['container', 'vm'])
  test(`a ${isolation} has the volumes of its image filled, its own read-only, and tmpfs of the size asked for`, async () => {
    await host.ok('volume', 'create', 'named');
    const create = ['create', '--name', isolation, '--isolation', isolation, '--network', 'none'];
    const mounts = ['-v', 'named:/srv/data2', '--mount', 'source=seed,target=/ro,readonly'];
    const fill = ['run', '--rm', '--network', 'none', '-v', 'seed:/srv/data', 'seeded', 'true'];
    await host.ok(...fill);
    await host.ok(
      ...[...create, ...mounts, '--tmpfs', '/scratch:size=1m,mode=700'],
      ...['seeded', 'sh', '-c', SCRIPT],
    );
    const first = 'seed\n12:34 751\nrefused\nseed\n1048576 644\n4096 700\n';
    const normal = (text: string) => text.replace(/\n\d+ 700\n$/, '\n4096 700\n');
    assert.equal(normal(await host.ok('start', '-a', isolation)), first);
    // The anonymous volume goes on over a restart, and goes with the workload.
    assert.equal(normal(await host.ok('start', '-a', isolation)), first.replace('seed\n', 'seed\nmore\n'));
    const names = (await host.ok('volume', 'ls', '-q')).split('\n').filter(Boolean);
    assert.equal(names.filter((name) => /^[0-9a-f]{64}$/.test(name)).length, 1);
    await host.ok('rm', '-v', isolation);
    assert.deepEqual((await host.ok('volume', 'ls', '-q')).split('\n').filter(Boolean), ['named', 'seed']);
    await host.ok('volume', 'rm', 'named', 'seed');
  });
