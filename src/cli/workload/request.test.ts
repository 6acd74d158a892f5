import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { test } from 'node:test';
import { parseFlags } from '../flags.ts';
import { collectEnv, collectLabels } from './env.ts';
import { WORKLOAD_FLAGS } from './flags.ts';
import { parseMount, parseTmpfs, parseVolumes, splitCommas } from './mounts.ts';
import { registryOf } from './registry-auth.ts';
import { createRequest } from './request.ts';
import { parseDevice, parsePorts, parseRestart, parseUlimit, resolveSecurityOpt } from './values.ts';

function request(line: string, detach = false) {
  const { flags, args } = parseFlags(WORKLOAD_FLAGS, line.split(' '), { interspersed: false });
  const [image = '', ...command] = args;
  return createRequest({ flags, image, command, detach, env: { PASSED: 'on' } });
}

test('without flags only image, command and attached outputs are asked for', () => {
  assert.deepEqual(request('busybox echo hi'), {
    Image: 'busybox',
    Cmd: ['echo', 'hi'],
    AttachStdout: true,
    AttachStderr: true,
  });
  assert.deepEqual(request('busybox', true), { Image: 'busybox' });
});

test('flags become the members of the request', () => {
  const made = request(
    '-it --rm --isolation vm -m 512m --cpus 1.5 --network none -e A=B -e PASSED -e UNSET -v /a:/b:ro -v /anon ' +
      '--tmpfs /t:size=1m --entrypoint x --restart no --health-cmd true --health-interval 5s img',
  );
  assert.deepEqual(made.Env, ['A=B', 'PASSED=on']);
  assert.deepEqual([made.Tty, made.OpenStdin, made.StdinOnce, made.AttachStdin], [true, true, true, true]);
  assert.deepEqual(made.Entrypoint, ['x']);
  assert.deepEqual(made.Volumes, { '/anon': {} });
  assert.deepEqual(made.Healthcheck, { Test: ['CMD-SHELL', 'true'], Interval: 5e9 });
  assert.deepEqual(made.HostConfig, {
    Isolation: 'vm',
    AutoRemove: true,
    NetworkMode: 'none',
    Memory: 536870912,
    NanoCpus: 1.5e9,
    Tmpfs: { '/t': 'size=1m' },
    RestartPolicy: { Name: 'no', MaximumRetryCount: 0 },
    Binds: ['/a:/b:ro'],
  });
});

for (const line of [
  '--rm --restart always x',
  '--isolation jail x',
  '--pull maybe x',
  '-a nothing x',
  '--cpus 0 x',
  '--no-healthcheck --health-retries 2 x',
  '-m lots x',
]) {
  test(`the flags ${line} are refused with exit code 125`, () => {
    assert.throws(() => request(line), { exitCode: 125 });
  });
}

test('environment files hold comments, names to pass on, and are named when they are wrong', async () => {
  const dir = await mkdtemp(join(tmpdir(), 'berth-env-'));
  try {
    const file = join(dir, 'env');
    await writeFile(file, '\uFEFF# comment\n\nA=1=2\n  B= x \nPASSED\nUNSET\n');
    assert.deepEqual(collectEnv([file], ['A=3'], { PASSED: 'on' }), ['A=1=2', 'B= x ', 'PASSED=on', 'A=3']);
    assert.deepEqual(collectLabels([file], ['l']), { A: '1=2', B: ' x ', PASSED: '', UNSET: '', l: '' });
    await writeFile(file, 'OK=1\nB AD=1\n');
    assert.throws(() => collectEnv([file], [], {}), { message: /env, line 2: the name "B AD"/ });
    assert.throws(() => collectEnv([join(dir, 'none')], [], {}), /cannot read environment file/);
  } finally {
    await rm(dir, { recursive: true });
  }
});

test('volumes are binds, named volumes or anonymous', () => {
  assert.deepEqual(parseVolumes(['/a:/b', 'data:/c:ro', './x:/d', '/e']), {
    binds: ['/a:/b', 'data:/c:ro', `${resolve('x')}:/d`],
    anonymous: ['/e'],
  });
  for (const bad of ['a', '/a:b', ':/a', '/a:/b:ro:z']) {
    assert.throws(() => parseVolumes([bad]), { exitCode: 125, message: /invalid volume/ }, bad);
  }
});

test('mounts are written with keys and values', () => {
  assert.deepEqual(parseMount('type=bind,src=/a,dst=/b,readonly,bind-propagation=rslave'), {
    Type: 'bind',
    Source: '/a',
    Target: '/b',
    ReadOnly: true,
    BindOptions: { Propagation: 'rslave' },
  });
  assert.deepEqual(parseMount('target=/t,type=tmpfs,tmpfs-size=1m,tmpfs-mode=1770'), {
    Type: 'tmpfs',
    Target: '/t',
    TmpfsOptions: { SizeBytes: 1048576, Mode: 0o1770 },
  });
  assert.deepEqual(parseMount('source=v,target=/t,volume-nocopy=true'), {
    Type: 'volume',
    Source: 'v',
    Target: '/t',
    VolumeOptions: { NoCopy: true },
  });
  const bad = [
    'type=bind,target=/a',
    'type=x,target=/a',
    'type=bind,src=/a',
    'foo=1',
    'type=tmpfs,src=a,target=/b',
    'target=/a,tmpfs-size=1m',
  ];
  for (const text of bad)
    assert.throws(() => parseMount(text), { exitCode: 125, message: /invalid mount/ }, text);
  assert.deepEqual(splitCommas('a="x",b'), ['a="x"', 'b']);
  assert.deepEqual(splitCommas('"a=1,2","q""q",c'), ['a=1,2', 'q"q', 'c']);
});

test('a tmpfs has an absolute path and options', () => {
  assert.deepEqual(parseTmpfs(['/a', '/b:size=1m,mode=700']), { '/a': '', '/b': 'size=1m,mode=700' });
  assert.throws(() => parseTmpfs(['a']), { exitCode: 125 });
});

test('ulimits have a known name and a soft limit that fits the hard one', () => {
  assert.deepEqual(parseUlimit('nofile=10:20'), { Name: 'nofile', Soft: 10, Hard: 20 });
  assert.deepEqual(parseUlimit('core=-1'), { Name: 'core', Soft: -1, Hard: -1 });
  for (const bad of ['nofile', 'nofile=x', 'what=1', 'nofile=3:2', 'nofile=-1:5']) {
    assert.throws(() => parseUlimit(bad), { exitCode: 125 }, bad);
  }
});

test('restart policies, devices and ports have their own syntax', () => {
  assert.deepEqual(parseRestart('on-failure:3'), { Name: 'on-failure', MaximumRetryCount: 3 });
  assert.throws(() => parseRestart('always:3'), { exitCode: 125 });
  assert.deepEqual(parseDevice('/dev/fuse:r'), {
    PathOnHost: '/dev/fuse',
    PathInContainer: '/dev/fuse',
    CgroupPermissions: 'r',
  });
  assert.equal(parseDevice('/dev/a:/dev/b').PathInContainer, '/dev/b');
  assert.throws(() => parseDevice('a'), { exitCode: 125 });
  assert.deepEqual(parsePorts(['127.0.0.1:8080:80', '53:53/udp', '90']).bindings, {
    '80/tcp': [{ HostIp: '127.0.0.1', HostPort: '8080' }],
    '53/udp': [{ HostIp: '', HostPort: '53' }],
    '90/tcp': [{ HostIp: '', HostPort: '' }],
  });
  assert.deepEqual(parsePorts(['0:80']).bindings, { '80/tcp': [{ HostIp: '', HostPort: '' }] });
  assert.deepEqual(Object.keys(parsePorts(['8000-8001:80-81']).bindings), ['80/tcp', '81/tcp']);
  for (const bad of ['x', '1:2:3:4', '70000', '1-3:1-2'])
    assert.throws(() => parsePorts([bad]), { exitCode: 125 }, bad);
});

test('limits of disks name the disk and how much', () => {
  const { HostConfig } = request(
    '--device-read-bps /dev/sda:10m --device-write-iops /dev/disk/by-id/x:1:5 b',
  );
  assert.deepEqual(HostConfig?.BlkioDeviceReadBps, [{ Path: '/dev/sda', Rate: 10 << 20 }]);
  assert.deepEqual(HostConfig?.BlkioDeviceWriteIOps, [{ Path: '/dev/disk/by-id/x:1', Rate: 5 }]);
  const weighed = request('--blkio-weight-device /dev/sda:200 b').HostConfig;
  assert.deepEqual(weighed?.BlkioWeightDevice, [{ Path: '/dev/sda', Weight: 200 }]);
  for (const bad of ['sda:1m', '/dev/sda', '/dev/sda:much'])
    assert.throws(() => request(`--device-read-bps ${bad} b`), { exitCode: 125 }, bad);
});

test('a seccomp profile is sent with the request', async () => {
  const dir = await mkdtemp(join(tmpdir(), 'berth-seccomp-'));
  try {
    await writeFile(join(dir, 'p.json'), '{ "defaultAction": "SCMP_ACT_ALLOW" }');
    const sent = resolveSecurityOpt(`seccomp=${join(dir, 'p.json')}`);
    assert.equal(sent, 'seccomp={"defaultAction":"SCMP_ACT_ALLOW"}');
    assert.equal(resolveSecurityOpt('seccomp=unconfined'), 'seccomp=unconfined');
    assert.throws(() => resolveSecurityOpt('seccomp=/nonexistent'), { exitCode: 125 });
  } finally {
    await rm(dir, { recursive: true });
  }
});

test('names lead to the registry whose credentials are kept', () => {
  assert.equal(registryOf('busybox'), 'https://index.docker.io/v1/');
  assert.equal(registryOf('library/busybox:1'), 'https://index.docker.io/v1/');
  assert.equal(registryOf('localhost:5000/a/b:1'), 'localhost:5000');
  assert.equal(registryOf('ghcr.io/a/b'), 'ghcr.io');
});
