import assert from 'node:assert/strict';
import { chmod, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { gzipSync } from 'node:zlib';
import {
  type AcceleratorProbe,
  findKernel,
  findVirtiofsd,
  type Machine,
  machineArguments,
  prepareInitrd,
  probeAccelerator,
  virtiofsdCommand,
} from './index.ts';

const MACHINE: Machine = {
  ...{ accelerator: 'tcg', memoryBytes: 256 << 20, cpus: 2, nics: 2, directKernel: true, tscKhz: 2_600_000 },
  ...{ shares: false, ephemeral: false, name: 'berth-abc' },
};

const value = (args: readonly string[], flag: string) => args[args.indexOf(flag) + 1] ?? '';

describe('the command line of a machine', () => {
  test('gives memory, processors, the sandbox and no device that is not needed', () => {
    const args = machineArguments({ ...MACHINE, nics: 0 });
    assert.equal(value(args, '-m'), '256M');
    assert.equal(value(args, '-smp'), '2');
    assert.match(value(args, '-sandbox'), /^on,.*elevateprivileges=deny.*spawn=deny/);
    assert.ok(args.includes('-nodefaults') && args.includes('-no-user-config'));
    const devices = args.filter((_, at) => args[at - 1] === '-device').map((device) => device.split(',')[0]);
    assert.deepEqual(devices, ['virtio-serial-pci', 'virtserialport', 'virtio-blk-pci', 'virtio-blk-pci']);
    assert.ok(!args.some((arg) => arg.includes('netdev') || arg.includes('net-pci')));
  });

  test('has network interfaces that end in descriptors, the same in a machine and its copies', () => {
    const of = (machine: Machine) => machineArguments(machine).filter((arg) => /tap|net-pci/.test(arg));
    const device = (number: number) =>
      `virtio-net-pci,netdev=net${number},id=nic${number},mac=02:00:00:00:00:0${number},romfile=,guest_announce=off`;
    assert.deepEqual(of(MACHINE), ['tap,id=net0,fd=20', device(0), 'tap,id=net1,fd=21', device(1)]);
    assert.deepEqual(of({ ...MACHINE, origin: { kind: 'fork' } }), of(MACHINE));
  });

  test('names no file of the host: all are descriptors', () => {
    const paths =
      machineArguments({ ...MACHINE, shares: true })
        .join(' ')
        .match(/\/\S+/g) ?? [];
    assert.deepEqual(
      paths.filter((path) => !/^\/(proc\/self\/fd|dev\/fdset)\/\d+/.test(path)),
      [],
    );
  });

  test('keeps memory in a file, which a fork maps as a copy and is never its own again', () => {
    const memory = (machine: Machine) => value(machineArguments(machine), '-object');
    assert.match(memory(MACHINE), /^memory-backend-file,.*mem-path=\/proc\/self\/fd\/18,share=on$/);
    const fork = { ...MACHINE, origin: { kind: 'fork' } } as const;
    assert.match(memory(fork), /mem-path=\/proc\/self\/fd\/18,share=off$/);
    assert.equal(value(machineArguments(fork), '-incoming'), 'defer');
    assert.ok(!machineArguments(MACHINE).some((arg) => arg.includes('balloon') || arg === '-incoming'));
  });

  test('shares memory with another process and adds a device only where folders are shared', () => {
    const args = machineArguments({ ...MACHINE, shares: true });
    assert.match(value(args, '-object'), /share=on/);
    assert.match(value(args, '-machine'), /memory-backend=memory/);
    assert.ok(args.includes('vhost-user-fs-pci,chardev=shares,tag=berth'));
  });

  test('trusts the time stamp counter only with its rate, and only under emulation', () => {
    assert.match(value(machineArguments(MACHINE), '-append'), /tsc=reliable tsc_early_khz=2600000/);
    const { tscKhz: _, ...unknown } = MACHINE;
    assert.doesNotMatch(value(machineArguments(unknown), '-append'), /tsc/);
    const kvm = machineArguments({ ...MACHINE, accelerator: 'kvm' });
    assert.doesNotMatch(value(kvm, '-append'), /tsc|mitigations/);
    assert.equal(value(kvm, '-accel'), 'kvm');
    assert.equal(value(kvm, '-cpu'), 'host');
  });

  test('flushes the writable disk unless it is to be thrown away', () => {
    const flushes = (machine: Machine) => !machineArguments(machine).some((arg) => arg.includes('no-flush'));
    assert.equal(flushes(MACHINE), true);
    assert.equal(flushes({ ...MACHINE, ephemeral: true }), false);
  });
});

describe('on a host', () => {
  let root: string;
  before(async () => {
    root = await mkdtemp(join(tmpdir(), 'berth-qemu-'));
    await writeFile(join(root, 'kvm'), '');
  });
  after(() => rm(root, { recursive: true, force: true }));

  const probe = (name: string, script: string, change: Partial<AcceleratorProbe> = {}): AcceleratorProbe => ({
    cacheDir: join(root, name),
    device: join(root, 'kvm'),
    command: ['sh', '-c', script],
    tscCommand: ['echo', '2599998'],
    timeoutMs: 5000,
    ...change,
  });

  test('KVM is used when a guest booted with it', async () => {
    const verdict = await probeAccelerator(probe('works', 'echo berth-probe: ok'));
    assert.equal(verdict.accelerator, 'kvm');
  });

  test('guests are emulated when the device is absent, and the reason names it', async () => {
    const verdict = await probeAccelerator(probe('absent', 'exit 1', { device: join(root, 'none') }));
    assert.equal(verdict.accelerator, 'tcg');
    assert.match(verdict.reason, /there is no .*none/);
  });

  test('guests are emulated when the device may not be used', async () => {
    const verdict = await probeAccelerator(probe('denied', 'echo "Could not access KVM" >&2; exit 1'));
    assert.equal(verdict.accelerator, 'tcg');
    assert.match(verdict.reason, /Could not access KVM/);
  });

  test('guests are emulated when one hangs with it, by a deadline', async () => {
    const started = performance.now();
    const verdict = await probeAccelerator(probe('hangs', 'exec sleep 100', { timeoutMs: 200 }));
    assert.equal(verdict.accelerator, 'tcg');
    assert.match(verdict.reason, /did not boot with it in 0.2 s/);
    assert.ok(performance.now() - started < 5000);
  });

  test('the verdict is remembered until the host boots again', async () => {
    const file = join(root, 'cached', 'accelerator.json');
    await probeAccelerator(probe('cached', 'echo berth-probe: ok'));
    assert.equal((await probeAccelerator(probe('cached', 'exit 1'))).accelerator, 'kvm');
    const stored = JSON.parse(await readFile(file, 'utf8')) as { bootId: string };
    await writeFile(file, JSON.stringify({ ...stored, bootId: 'another' }));
    assert.equal((await probeAccelerator(probe('cached', 'exit 1'))).accelerator, 'tcg');
    await writeFile(file, '{ damaged');
    assert.equal((await probeAccelerator(probe('cached', 'exit 1'))).accelerator, 'tcg');
  });

  test('a guest that did not boot in time is tried again when it may take longer', async () => {
    await probeAccelerator(probe('slow', 'exec sleep 100', { timeoutMs: 100 }));
    const again = (timeoutMs: number) =>
      probeAccelerator(probe('slow', 'echo berth-probe: ok', { timeoutMs }));
    assert.equal((await again(100)).accelerator, 'tcg');
    assert.equal((await again(5000)).accelerator, 'kvm');
    assert.equal((await again(100)).accelerator, 'kvm');
  });

  test('a device that comes or goes is judged anew', async () => {
    const device = join(root, 'plugged');
    const plugged = probe('plugged-cache', 'echo berth-probe: ok', { device });
    assert.equal((await probeAccelerator(plugged)).accelerator, 'tcg');
    await writeFile(device, '');
    assert.equal((await probeAccelerator(plugged)).accelerator, 'kvm');
    await rm(device);
    assert.equal((await probeAccelerator(plugged)).accelerator, 'tcg');
  });

  test('a module that cannot be unpacked whole fails the initrd, and nothing is kept', async () => {
    const [folder, cache, agent] = ['modules-store', 'modules-cache', 'modules-agent'].map((name) =>
      join(root, name),
    );
    assert.ok(folder && cache && agent);
    await mkdir(join(folder, 'modules/kernel'), { recursive: true });
    await mkdir(cache);
    await writeFile(agent, 'agent');
    const packed = gzipSync(Buffer.alloc(100_000));
    await writeFile(join(folder, 'modules/kernel/virtio_pci.ko.gz'), packed.subarray(0, packed.length - 20));
    await assert.rejects(prepareInitrd({ version: '1', folder }, agent, cache), /gzip -dc/);
    assert.deepEqual(await readdir(cache), []);
  });

  test('the newest complete kernel is taken, and an empty store says what to run', async () => {
    const store = join(root, 'store');
    for (const version of ['6.1.0-9-cloud', '6.1.0-56-cloud', '6.2.0-1-cloud']) {
      await mkdir(join(store, version, 'modules/kernel'), { recursive: true });
      await writeFile(join(store, version, 'vmlinuz'), '');
    }
    await rm(join(store, '6.2.0-1-cloud/vmlinuz'));
    assert.equal((await findKernel(store)).version, '6.1.0-56-cloud');
    await chmod(store, 0o755);
    await assert.rejects(findKernel(join(root, 'nothing')), {
      code: 'unavailable',
      message: /npm run setup/,
    });
  });
});

describe('virtiofsd', () => {
  test('is found where it lies, and called as that one understands', async (t) => {
    const folder = await mkdtemp(join(tmpdir(), 'berth-virtiofsd-'));
    t.after(() => rm(folder, { recursive: true, force: true }));
    const says = {
      c: 'virtiofsd version 7.2.22 (Debian)\nusing FUSE kernel interface version 7.36',
      rust: 'virtiofsd 1.13.2',
    };
    for (const [name, text] of Object.entries(says))
      await writeFile(join(folder, name), `#!/bin/sh\necho '${text}'\n`, { mode: 0o755 });
    const [c, rust] = await Promise.all(
      ['c', 'rust'].map((name) => findVirtiofsd([join(folder, 'absent'), join(folder, name)])),
    );
    assert.deepEqual(c, { path: join(folder, 'c'), kind: 'c', version: '7.2.22' });
    assert.deepEqual(rust, { path: join(folder, 'rust'), kind: 'rust', version: '1.13.2' });
    if (c === undefined || rust === undefined) throw new Error('neither is missing');
    assert.match(virtiofsdCommand(c, '/a,b').join(' '), /-o source=\/a\\,b -o sandbox=namespace,/);
    assert.match(
      virtiofsdCommand(rust, '/a,b').join(' '),
      /--shared-dir \/a,b --sandbox namespace --seccomp kill/,
    );
    await assert.rejects(
      findVirtiofsd([join(folder, 'absent')]),
      /no virtiofsd is at .*install the package virtiofsd/,
    );
  });
});
