// A VM's monitor and virtiofsd, looked at from the host: what either could do if the guest took it over.

import assert from 'node:assert/strict';
import { chmod, mkdir, readdir, readFile, readlink, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import type { Instance } from '../../src/core/index.ts';
import { createVmDriver } from '../../src/drivers/vm/index.ts';
import { cgroupPids, run } from '../../src/host/index.ts';
import { execToEnd, openVmLab, type SpecChange, type VmLab, vmPaths } from '../fixtures/vm.ts';

const BENCH = join(import.meta.dirname, '../../build/bin/berth-bench');
/** Admitted of the host's system calls while a machine runs. */
const MOST_CALLS = 90;

async function statusOf(pid: number): Promise<ReadonlyMap<string, string>> {
  const lines = (await readFile(`/proc/${pid}/status`, 'utf8')).split('\n');
  return new Map(lines.map((line) => line.split(/:\s+/) as [string, string]));
}

async function mountsOf(pid: number): Promise<string[]> {
  const lines = (await readFile(`/proc/${pid}/mountinfo`, 'utf8')).split('\n').filter(Boolean);
  return lines
    .map((line) => line.split(' '))
    .map(([, , , , at = '', options = '']) => `${at} ${options.split(',')[0]}`);
}

const spaceOf = (pid: number | 'self', kind: string) => readlink(`/proc/${pid}/ns/${kind}`);

async function assertApart(pid: number, kinds: readonly string[]): Promise<void> {
  for (const kind of kinds) assert.notEqual(await spaceOf(pid, kind), await spaceOf('self', kind), kind);
}

async function callsOf(pid: number): Promise<Set<string>> {
  const { stdout } = await run(BENCH, ['filters', `${pid}`]);
  return new Set([...stdout.matchAll(/^admitted=(.*)$/gm)].map(([, name = '']) => name));
}

describe('what stands around a VM', { timeout: 300_000 }, () => {
  let lab: VmLab;
  let shared: string;
  let booted: Instance;
  let forked: Instance;
  let qemus: number[];
  let helpers: number[];

  before(async () => {
    lab = await openVmLab();
    shared = join(lab.root, 'shared');
    await mkdir(join(shared, 'below'), { recursive: true });
    await writeFile(join(shared, 'file'), 'content\n', { mode: 0o640 });
    const mounts: SpecChange['mounts'] = ['/rw', '/ro'].map((target, index) => ({
      ...{ type: 'bind', source: shared, target, readonly: index === 1, propagation: 'rprivate' },
    }));
    booted = await lab.create(['sleep', '1000'], { mounts });
    forked = await lab.create(['sleep', '1000'], { annotations: { 'berth.boot': 'fork' } });
    await booted.start();
    await forked.start();
    qemus = await Promise.all([booted, forked].map(async (vm) => (await vm.state()).pid ?? 0));
    const pids = await cgroupPids(`${lab.cgroup}/${booted.id}`);
    helpers = pids.filter((pid) => !qemus.includes(pid));
  });
  after(async () => {
    await lab?.[Symbol.asyncDispose]();
  });

  test('the monitor has few system calls, and none that starts a program or leaves a namespace', async () => {
    for (const pid of qemus) {
      const calls = await callsOf(pid);
      assert.ok(
        calls.has('ioctl') && calls.size <= MOST_CALLS,
        `${calls.size} admitted: ${[...calls].join(' ')}`,
      );
      // The time is a system call where programs cannot read the host's clock, and QEMU does not expect that it fails.
      for (const name of ['clock_gettime', 'gettimeofday', 'time', 'getcpu'])
        assert.ok(calls.has(name), name);
      for (const name of [
        'execve',
        'execveat',
        'fork',
        'vfork',
        'clone',
        'clone3',
        'ptrace',
        'mount',
        'setns',
      ])
        assert.ok(!calls.has(name), name);
      for (const name of [
        'socket',
        'connect',
        'io_uring_setup',
        'bpf',
        'unlinkat',
        'kill',
        'chmod',
        'mknodat',
      ])
        assert.ok(!calls.has(name), name);
    }
  });

  test('the monitor sees programs and libraries read-only, itself, and four devices', async () => {
    for (const pid of qemus) {
      await assertApart(pid, ['mnt', 'pid', 'net', 'ipc', 'uts']);
      const status = await statusOf(pid);
      assert.deepEqual([status.get('NSpid')?.split('\t').at(-1), status.get('NoNewPrivs')], ['1', '1']);
      assert.match(status.get('CapBnd') ?? '', /^0+$/);
      const mounts = await mountsOf(pid);
      assert.deepEqual(
        mounts.filter((mount) => !mount.endsWith(' ro')),
        ['/proc rw'],
      );
      const root = `/proc/${pid}/root`;
      const top = (await readdir(root)).filter((name) => !/^(s?bin|lib\w*)$/.test(name));
      assert.deepEqual(top.sort(), ['dev', 'etc', 'proc', 'usr']);
      assert.deepEqual((await readdir(join(root, 'dev'))).sort(), ['null', 'random', 'urandom', 'zero']);
      assert.deepEqual(
        (await readdir(join(root, 'etc'))).filter((name) => !/^(ld.so.cache|alternatives)$/.test(name)),
        [],
      );
      assert.deepEqual(
        (await readdir(join(root, 'proc'))).filter((name) => /^\d+$/.test(name)),
        ['1'],
      );
      await assert.rejects(stat(join(root, lab.root)), { code: 'ENOENT' });
    }
  });

  test('no two machines run as one user, even when both draw the same', async () => {
    const [uid] = ((await statusOf(qemus[1] ?? 0)).get('Uid') ?? '').split('\t');
    const twin = await lab.create(['sleep', '1000'], { id: `${forked.id.slice(0, 32)}${'0'.repeat(32)}` });
    await twin.start();
    const [other] = ((await statusOf((await twin.state()).pid ?? 0)).get('Uid') ?? '').split('\t');
    assert.equal(Number(other), Number(uid) + 1);
    await twin.kill(9);
    await twin.wait();
    await twin.remove();
    assert.ok(!(await readdir('/run/berth/users')).includes(`${other}`));
  });

  test('virtiofsd is no root of the host and has nothing but the shares', async () => {
    assert.equal(helpers.length, 2);
    for (const pid of helpers) {
      await assertApart(pid, ['user', 'mnt', 'net']);
      const served = (await mountsOf(pid)).sort();
      assert.deepEqual(served, ['/ ro', '/0 rw', '/1 ro']);
    }
    const worker = await Promise.all(helpers.map(statusOf)).then((all) =>
      all.find((one) => one.get('Seccomp') === '2'),
    );
    assert.equal(worker?.get('NoNewPrivs'), '1');
    assert.match(worker?.get('CapBnd') ?? '', /^0+$/);
  });

  test('a share is what it was for files and owners, but makes no devices', async () => {
    const script = [
      'cat /rw/file; touch /rw/made; chown 77:88 /rw/made; chmod 4755 /rw/made; ls -ln /rw/made | cut -c1-50',
      'mknod /rw/disk b 7 1 2>&1; touch /ro/made 2>&1',
    ].join('; ');
    const { stdout } = await execToEnd(booted, ['sh', '-c', script], { privileged: true });
    assert.match(stdout, /^content\n-rwsr-xr-x +1 77 +88 /);
    assert.match(stdout, /mknod: .*not permitted\ntouch: .*Read-only/);
    const { uid, gid, mode } = await stat(join(shared, 'made'));
    assert.deepEqual([uid, gid, mode & 0o7777], [77, 88, 0o4755]);
  });

  test('a file has one number, in a listing of its folder as by itself', async () => {
    const listed = (await execToEnd(booted, ['ls', '-i', '/etc'])).stdout;
    const looked = (await execToEnd(booted, ['sh', '-c', 'cd /etc; stat -c "%i %n" *'])).stdout;
    const pairs = (text: string) =>
      text
        .split('\n')
        .map((line) => line.trim())
        .filter(Boolean)
        .sort();
    assert.ok(pairs(listed).length > 3, listed);
    assert.deepEqual(pairs(listed), pairs(looked));
  });

  test('a monitor that makes a call which only an intruder makes is ended, and the reason says so', async () => {
    const source = join(lab.root, 'intruder.c');
    const qemu = join(lab.root, 'intruder');
    await writeFile(
      source,
      '#include <sys/mount.h>\nint main(void) { return mount("a", "/", "tmpfs", 0, 0); }\n',
    );
    await run('musl-gcc', ['-static', '-o', qemu, source]);
    await chmod(lab.root, 0o755);
    const driver = createVmDriver({
      ...vmPaths,
      cacheDir: lab.cacheDir,
      qemu,
      kvmDevice: join(lab.root, 'no-kvm'),
    });
    const vm = await driver.create(await lab.spec(['true'], { annotations: { 'berth.boot': 'cold' } }));
    await assert.rejects(vm.start(), /killed by signal 31: it made a system call that its filter refuses/);
    await vm.remove();
    await driver.close?.();
  });

  test('without virtiofsd machines run, and mounts are refused with what to install', async () => {
    const virtiofsd = join(lab.root, 'absent');
    const driver = createVmDriver({
      ...vmPaths,
      cacheDir: lab.cacheDir,
      virtiofsd,
      kvmDevice: join(lab.root, 'no-kvm'),
    });
    const probe = await driver.probe();
    assert.equal(probe.usable, true);
    assert.match(
      probe.probes.find(({ name }) => name === 'virtiofsd')?.remedy ?? '',
      /install the package virtiofsd/,
    );
    const mounts: SpecChange['mounts'] = [
      { type: 'bind', source: shared, target: '/data', readonly: true, propagation: 'rprivate' },
    ];
    await assert.rejects(
      driver.create(await lab.spec(['true'], { mounts })),
      /no virtiofsd is at .*: install the package/,
    );
    await driver.close?.();
  });
});
