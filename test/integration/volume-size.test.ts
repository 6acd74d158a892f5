// Volumes with a size limit: real loop devices, containers and virtual machines.

import assert from 'node:assert/strict';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { CliHost } from '../fixtures/cli.ts';
import { findLoopDevices } from '../fixtures/engine-leaks.ts';

const ISOLATIONS = ['container', 'vm'] as const;
const FILL = 'dd if=/dev/zero of=/v/full bs=64k count=400 2>&1; df -k /v | tail -1';

let host: CliHost;
before(async () => {
  host = await CliHost.open();
  await host.ok('image', 'create', 'busybox');
});
after(async () => {
  assert.deepEqual(await host.close(), []);
});

const run = (isolation: string, mount: string, script: string) =>
  host.run(
    'run',
    '--rm',
    '--network',
    'none',
    '--isolation',
    isolation,
    '--mount',
    mount,
    'busybox',
    'sh',
    '-c',
    script,
  );

for (const isolation of ISOLATIONS)
  test(`a volume of 16 MiB is full at 16 MiB in a ${isolation}, and only there`, async () => {
    await host.ok('volume', 'create', '-o', 'size=16m', 'small');
    const { stdout } = await run(isolation, 'source=small,target=/v', FILL);
    assert.match(stdout, /No space left on device/);
    const [, sizeKib = ''] = /\n\S+\s+(\d+)/.exec(stdout) ?? [];
    assert.ok(Number(sizeKib) >= 16384 && Number(sizeKib) < 18000, stdout);
    const format = '{{.Options.size}} {{.Status.SizeBytes}} {{.Status.UsedBytes}}';
    const [size, limit, used] = (await host.ok('volume', 'inspect', '-f', format, 'small')).split(' ');
    assert.deepEqual([size, limit], ['16m', String(16 << 20)]);
    assert.ok(Number(used) > 15 << 20, `${used} bytes in use`);
    // What is deleted inside is free outside, at the latest when the volume is mounted again.
    await host.ok(
      ...[
        'run',
        '--name',
        'emptier',
        '--network',
        'none',
        '--isolation',
        isolation,
        '-v',
        'small:/v',
        'busybox',
        'rm',
        '/v/full',
      ],
    );
    await host.ok('rm', 'emptier');
    await run('container', 'source=small,target=/v', 'true');
    const now = Number(await host.ok('volume', 'inspect', '-f', '{{.Status.UsedBytes}}', 'small'));
    assert.ok(now < 8 << 20, `${now} bytes in use`);
    await host.ok('volume', 'rm', 'small');
    assert.deepEqual(await findLoopDevices(host.root), []);
  });

test('a container and a VM share one volume with a limit, over the death of the daemon', async () => {
  await host.ok('volume', 'create', '-o', 'size=64m', 'shared');
  for (const isolation of ISOLATIONS)
    await host.ok(
      ...[
        'run',
        '-d',
        '--network',
        'none',
        '--name',
        isolation,
        '--isolation',
        isolation,
        '-v',
        'shared:/v',
        'busybox',
        'sleep',
        '600',
      ],
    );
  await host.killDaemons('SIGKILL');
  await host.ok('exec', 'container', 'sh', '-c', 'echo from container > /v/one');
  assert.equal(await host.ok('exec', 'vm', 'cat', '/v/one'), 'from container\n');
  await host.ok('exec', 'vm', 'sh', '-c', 'echo from vm > /v/two');
  assert.equal(await host.ok('exec', 'container', 'cat', '/v/two'), 'from vm\n');
  // Two devices over one file would destroy it.
  assert.equal((await findLoopDevices(host.root)).length, 1);
  assert.match((await host.run('volume', 'rm', '-f', 'shared')).stderr, /volume is in use/);
  await host.ok('rm', '-f', ...ISOLATIONS);
  assert.deepEqual(await findLoopDevices(host.root), []);
  assert.equal(
    (await run('container', 'source=shared,target=/v', 'cat /v/*')).stdout,
    'from container\nfrom vm\n',
  );
});

test('a new volume with a limit is filled from the image, and one that is too small is told so', async () => {
  await host.ok(
    'create',
    '--name',
    'source',
    '--network',
    'none',
    'busybox',
    'sh',
    '-c',
    'mkdir /seed; dd if=/dev/zero of=/seed/x bs=1M count=6',
  );
  await host.ok('start', '-a', 'source');
  await host.ok('wait', 'source');
  await host.ok('commit', 'source', 'seeded');
  await host.ok('volume', 'create', '-o', 'size=32m', 'roomy');
  assert.equal(
    await host.ok('run', '--rm', '--network', 'none', '-v', 'roomy:/seed', 'seeded', 'ls', '/seed'),
    'x\n',
  );
  await host.ok('volume', 'create', '-o', 'size=4m', 'narrow');
  const { stderr } = await host.run(
    'run',
    '--rm',
    '--network',
    'none',
    '-v',
    'narrow:/seed',
    'seeded',
    'ls',
    '/seed',
  );
  assert.match(stderr, /volume narrow: what the image has at \/seed does not fit into its 4194304 bytes/);
  assert.equal((await run('container', 'source=narrow,target=/v', 'ls -A /v')).stdout, '');
});

test('bad sizes, unknown options and another size for a name in use are refused with the reason', async () => {
  const create = async (...args: string[]) => (await host.run('volume', 'create', ...args)).stderr;
  assert.match(await create('-o', 'size=1k', 'bad'), /between 4m and 15t/);
  assert.match(await create('-o', 'size=much', 'bad'), /'much' is not a size/);
  assert.match(
    await create('-o', 'type=nfs', 'bad'),
    /volume options \(type\) are not supported, only size is/,
  );
  await host.ok('volume', 'create', 'plain');
  assert.match(await create('-o', 'size=10m', 'plain'), /a volume of this name exists and has no size limit/);
  assert.deepEqual((await readdir(join(host.root, 'state/volumes'))).includes('bad'), false);
});

for (const [isolation, volume, args] of [
  ['container', 'folder', []],
  ['container', 'limited', ['-o', 'size=16m']],
  ['vm', 'limited-for-vm', ['-o', 'size=16m']],
] as const)
  test(`a part of the volume ${volume} is mounted into a ${isolation}, and no link in it leads out`, async () => {
    await host.ok('volume', 'create', ...args, volume);
    const script =
      'mkdir -p /v/a/b; echo deep > /v/a/b/file; ln -s ../../../../etc /v/up; ln -s /a/b /v/inner';
    await run('container', `source=${volume},target=/v`, script);
    const part = (subpath: string, command: string) =>
      run(isolation, `type=volume,source=${volume},target=/x,volume-subpath=${subpath}`, command);
    assert.equal((await part('a/b', 'cat /x/file; echo more > /x/more')).stdout, 'deep\n');
    assert.equal((await part('a/b/more', 'cat /x')).stdout, 'more\n');
    // A link from the volume's root stays in the volume.
    assert.equal((await part('inner', 'ls /x')).stdout, 'file\nmore\n');
    assert.match((await part('up', 'ls /x')).stderr, /up.*No such file or directory/);
    assert.match((await part('../..', 'ls /x')).stderr, /must be a relative path within the volume/);
  });

test('a part of a volume that another workload turns into a link meanwhile never leads out', async () => {
  await host.ok('volume', 'create', 'turning');
  const script = `cd /v; mkdir real; echo inside > real/hostname; ln -s /etc out; ln -s real part; echo ready
    while :; do ln -sfn out part; ln -sfn /../../../../etc part; ln -sfn real part; done`;
  const turn = ['run', '--rm', '--name', 'turner', '--network', 'none', '-v', 'turning:/v', 'busybox'];
  const turner = host.start(...turn, 'sh', '-c', script);
  await turner.until(/ready/);
  const seen = new Set<string>();
  for (let round = 0; round < 12; round++) {
    const mount = 'type=volume,source=turning,target=/x,volume-subpath=part';
    const { stdout, stderr } = await run('container', mount, 'cat /x/hostname');
    seen.add(stdout === '' && /No such file or directory/.test(stderr) ? 'refused' : stdout);
  }
  await host.ok('rm', '-f', 'turner');
  await turner.done;
  assert.deepEqual(
    [...seen].filter((text) => text !== 'inside\n' && text !== 'refused'),
    [],
  );
});
