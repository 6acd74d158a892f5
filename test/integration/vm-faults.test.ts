// What goes wrong in and around a VM is told precisely, touches no other, and leaves nothing behind.

import assert from 'node:assert/strict';
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { access, mkdir, readdir, readFile, readlink, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import type { Instance } from '../../src/core/index.ts';
import { createVmDriver } from '../../src/drivers/vm/index.ts';
import { startShim } from '../../src/drivers/vm/process.ts';
import { cgroupHost, cgroupPids } from '../../src/host/index.ts';
import { execToEnd, openVmLab, runToEnd, textOf, type VmLab, vmPaths } from '../fixtures/vm.ts';

async function pidOf(vm: Instance): Promise<number> {
  const { pid } = await vm.state();
  assert.ok(pid !== undefined && pid > 1);
  return pid;
}

/** Field of /proc/PID/status. */
async function statusOf(pid: number, field: string): Promise<string> {
  const line = (await textOf(`/proc/${pid}/status`)).split('\n').find((row) => row.startsWith(`${field}:`));
  return line?.slice(field.length + 1).trim() ?? '';
}

async function assertGone(vm: Instance, lab: VmLab): Promise<void> {
  assert.deepEqual(await readdir(join(lab.root, 'workloads', vm.id)), []);
  assert.deepEqual(await cgroupPids(`${lab.cgroup}/${vm.id}`), []);
  for (const root of cgroupHost().hierarchies)
    await assert.rejects(access(join(root, lab.cgroup, vm.id)), { code: 'ENOENT' });
  for (const entry of await readdir('/proc')) {
    if (!/^\d+$/.test(entry)) continue;
    const command = await readFile(`/proc/${entry}/cmdline`, 'utf8').catch(() => '');
    assert.ok(!command.includes(vm.id), command);
    assert.ok(!command.includes(`berth-${vm.id.slice(0, 12)}`), command);
  }
  assert.ok(!(await textOf('/proc/self/mountinfo')).includes(vm.id));
}

describe('faults of VMs', { timeout: 300_000 }, () => {
  let lab: VmLab;
  before(async () => {
    lab = await openVmLab();
  });
  after(async () => {
    await lab?.[Symbol.asyncDispose]();
  });

  test('a panic and a killed monitor are reported as such, and others go on', async () => {
    const [panics, killed, healthy] = await Promise.all([
      lab.create(['sleep', '1000']),
      lab.create(['sleep', '1000']),
      lab.create(['sleep', '1000']),
    ]);
    await Promise.all([panics.start(), killed.start(), healthy.start()]);
    const panic = execToEnd(panics, ['sh', '-c', 'echo c > /proc/sysrq-trigger']).catch(() => {});
    const first = await panics.wait();
    await panic;
    assert.equal(first.reason, 'guest-panic');
    assert.match(first.message ?? '', /^Kernel panic - not syncing: sysrq triggered crash/);
    assert.equal(first.code, 255);
    process.kill(await pidOf(killed), 'SIGKILL');
    const second = await killed.wait();
    assert.equal(second.reason, 'monitor-died');
    assert.equal(second.code, 137);
    assert.match(second.message ?? '', /QEMU/);
    assert.equal((await healthy.state()).state, 'running');
    assert.equal((await execToEnd(healthy, ['echo', 'well'])).stdout, 'well\n');
    await healthy.kill(9);
    await healthy.wait();
    for (const vm of [panics, killed, healthy]) {
      await vm.remove();
      await assertGone(vm, lab);
    }
  });

  test('a guest that fills its memory or its disk is alone with that', async () => {
    const small = createVmDriver({
      ...{ ...vmPaths, cacheDir: lab.cacheDir, kvmDevice: join(lab.root, 'no-kvm') },
      writableBytes: 96 << 20,
    });
    const begin = async (...args: string[]) => {
      const vm = await small.create(await lab.spec(args));
      await vm.start();
      return vm;
    };
    const healthy = await begin('sleep', '1000');
    const [memory, disk] = await Promise.all([
      begin('sh', '-c', 'x=x; while :; do x=$x$x$x$x; done'),
      begin(
        'sh',
        '-c',
        'dd if=/dev/zero of=/big bs=1M 2>&1; df -m /; rm /big; echo again > /small && cat /small',
      ),
    ]);
    const [ended, full] = await Promise.all([memory.wait(), disk.wait()]);
    assert.deepEqual([ended.code, ended.oomKilled], [137, true]);
    assert.equal(full.code, 0);
    const log = await textOf(join(lab.root, 'workloads', disk.id, 'log.json'));
    assert.match(log, /No space left on device/);
    assert.match(log, /again/);
    assert.equal((await execToEnd(healthy, ['sh', '-c', 'echo well > /x; cat /x'])).stdout, 'well\n');
    await healthy.kill(9);
    await healthy.wait();
    for (const vm of [memory, disk, healthy]) {
      await vm.remove();
      await assertGone(vm, lab);
    }
    await small.close?.();
  });

  test('the monitor runs unprivileged, filtered, in namespaces, a cgroup and a folder of its own', async () => {
    const data = join(lab.root, 'shared');
    await mkdir(data);
    const vm = await lab.create(['sleep', '1000'], {
      mounts: [{ type: 'bind', source: data, target: '/data', readonly: false, propagation: 'rprivate' }],
    });
    await vm.start();
    const pid = await pidOf(vm);
    const [uid] = (await statusOf(pid, 'Uid')).split('\t');
    assert.ok(Number(uid) > 1_000_000, uid);
    for (const set of ['CapEff', 'CapPrm', 'CapBnd', 'CapInh', 'CapAmb'])
      assert.equal(BigInt(`0x${await statusOf(pid, set)}`), 0n, set);
    assert.equal(await statusOf(pid, 'Seccomp'), '2');
    assert.equal(await statusOf(pid, 'NoNewPrivs'), '1');
    assert.equal(await statusOf(pid, 'Groups'), '');
    for (const space of ['net', 'ipc', 'uts', 'mnt'])
      assert.notEqual(await readlink(`/proc/${pid}/ns/${space}`), await readlink(`/proc/self/ns/${space}`));
    const group = await cgroupPids(`${lab.cgroup}/${vm.id}`);
    assert.ok(group.includes(pid));
    // virtiofsd is in the same group: nothing of a VM runs outside.
    assert.ok(group.length >= 2);
    const { ino } = await stat(join(lab.root, 'workloads', vm.id, 'writable.ext4'));
    const locks = (await textOf('/proc/locks')).split('\n').filter((line) => line.includes('OFDLCK'));
    assert.ok(
      locks.some((line) => line.includes(`:${ino} `)),
      `QEMU holds no lock of its disk: ${locks.join('\n')}`,
    );
    const spec = await lab.spec([], { id: vm.id, dir: join(lab.root, 'workloads', vm.id) });
    const second = startShim(vmPaths.shimPath, spec);
    await assert.rejects(second.start({}), { code: 'conflict', message: /another supervisor holds/ });
    await second.gone;
    assert.equal((await execToEnd(vm, ['echo', 'well'])).stdout, 'well\n');
    assert.equal(await textOf(join(spec.dir, 'shim.err')), '');
    await vm.kill(9);
    await vm.wait();
    await vm.remove();
    await assertGone(vm, lab);
  });

  test('a VM outlives a daemon that is killed, is adopted by the next one, and its log is complete', async () => {
    const script = 'i=0; while [ $i -lt 60 ]; do echo line $i; i=$((i+1)); sleep 0.05; done; exit 9';
    const spec = await lab.spec(['sh', '-c', script]);
    const parent = fork(join(import.meta.dirname, '../fixtures/vm-parent.ts'), [
      JSON.stringify({ ...vmPaths, cacheDir: lab.cacheDir, kvmDevice: join(lab.root, 'no-kvm') }),
      JSON.stringify(spec),
    ]);
    const [pid] = (await once(parent, 'message')) as [number];
    parent.kill('SIGKILL');
    await once(parent, 'exit');
    const next = await lab.nextDriver().adopt(spec);
    assert.deepEqual([(await next.state()).state, (await next.state()).pid], ['running', pid]);
    assert.equal((await next.wait()).code, 9);
    const log = (await textOf(join(spec.dir, 'log.json'))).trim().split('\n');
    assert.equal(log.length, 60);
    const late = await lab.nextDriver().adopt(spec);
    assert.equal((await late.state()).exit?.code, 9);
    assert.equal((await runToEnd(late)).code, 9);
    await late.remove();
    await assertGone(late, lab);
  });

  test('a killed supervisor takes its machine with it and is found out by the next driver', async () => {
    const spec = await lab.spec(['sleep', '1000']);
    const vm = await lab.driver.create(spec);
    await vm.start();
    const shim = Number((await textOf(join(spec.dir, 'shim.pid'))).split(' ')[0]);
    process.kill(shim, 'SIGKILL');
    assert.equal((await vm.wait()).reason, 'supervisor-died');
    const next = await lab.nextDriver().adopt(spec);
    assert.equal((await next.state()).exit?.reason, 'supervisor-died');
    await next.start();
    await next.kill(9);
    assert.equal((await next.wait()).code, 137);
    await next.remove();
    await assertGone(next, lab);
  });

  test('what a VM cannot be given is refused at creation, with the reason, and leaves nothing', async () => {
    const cases = [
      [{ network: 'host' as const }, 'unsupported', /host network/],
      [{ pidMode: 'host' as const }, 'unsupported', /host processes/],
      [
        { devices: [{ hostPath: '/dev/fuse', path: '/dev/fuse', permissions: 'rwm' }] },
        'unsupported',
        /\/dev\/fuse/,
      ],
      [{ security: { seccomp: '{}' } }, 'unsupported', /seccomp/],
      [{ resources: { memoryBytes: 16 << 20 } }, 'invalid-argument', /at least 96 MiB/],
      [{ security: { capAdd: ['NOSUCH'] } }, 'invalid-argument', /CAP_NOSUCH/],
    ] as const;
    for (const [change, code, message] of cases) {
      const spec = await lab.spec(['true'], change);
      await assert.rejects(lab.driver.create(spec), (error: { code: string; message: string }) => {
        assert.equal(error.code, code);
        assert.match(error.message, message);
        return true;
      });
      assert.deepEqual(await readdir(spec.dir), []);
    }
  });

  test('a disk that cannot be built is an error that names the image, and nothing stays', async () => {
    const spec = await lab.spec(['true'], {
      rootfs: { imageId: 'sha256:dead', layers: [join(lab.root, 'nowhere')] },
    });
    await assert.rejects(lab.driver.create(spec), { code: 'internal', message: /sha256:dead/ });
    assert.deepEqual(await readdir(spec.dir), []);
    const left = (await readdir(join(lab.cacheDir, 'images'))).filter(
      (name) => name.includes('dead') || name.startsWith('.'),
    );
    assert.deepEqual(left, []);
  });

  test('a shared folder that has gone by the start is an error that names it', async () => {
    const source = join(lab.root, 'short-lived');
    await mkdir(source);
    const vm = await lab.create(['true'], {
      mounts: [{ type: 'bind', source, target: '/data', readonly: false, propagation: 'rprivate' }],
    });
    await rm(source, { recursive: true });
    await assert.rejects(vm.start(), { message: /short-lived: No such file or directory/ });
    assert.equal((await vm.state()).state, 'created');
    await mkdir(source);
    assert.equal((await runToEnd(vm)).code, 0);
    await vm.remove();
    await assertGone(vm, lab);
  });

  test('an unusable kernel store says what to run', async () => {
    const empty = join(lab.root, 'no-kernels');
    await mkdir(empty);
    await writeFile(join(empty, 'README'), '');
    const driver = createVmDriver({ ...vmPaths, kernelDir: empty, cacheDir: join(lab.root, 'other') });
    const probe = await driver.probe();
    assert.equal(probe.usable, false);
    assert.match(probe.probes.find(({ name }) => name === 'guest kernel')?.remedy ?? '', /npm run setup/);
  });
});
