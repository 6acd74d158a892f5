import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { InstanceSpec } from '../../core/index.ts';
import { capabilityMask } from './capabilities.ts';
import {
  bootMode,
  canFork,
  checkSpec,
  cpuCount,
  guestFields,
  machineFields,
  machineShape,
  machineUid,
  mainFields,
  templateFields,
} from './config.ts';
import { parseProcesses } from './inside.ts';
import { checkGrowth, diskLimits, hostLimits, MONITOR_MEMORY_BYTES } from './limits.ts';

const SPEC: InstanceSpec = {
  ...{ id: 'ab'.repeat(32), dir: '/run/x', cgroupPath: '/berth/x', hostname: 'h', domainname: 'd.example' },
  ...{
    extraHosts: ['db:10.0.0.7'],
    dns: ['9.9.9.9'],
    network: 'private',
    ipc: 'private',
    pidMode: 'private',
  },
  ...{ devices: [], sysctls: { 'kernel.x': '1' }, readonlyRoot: true, init: true, annotations: {} },
  log: { driver: 'json-file', maxFiles: 1 },
  rootfs: { imageId: 'sha256:1', layers: [] },
  mounts: [
    { type: 'tmpfs', target: '/a/b', readonly: false, sizeBytes: 4096, mode: 0o700, options: ['exec'] },
    { type: 'bind', source: '/src/one', target: '/a/b/c', readonly: true, propagation: 'rprivate' },
    { type: 'bind', source: '/src/two', target: '/z', readonly: false, propagation: 'rprivate' },
  ],
  process: {
    ...{ args: ['sh', '-c', 'x y'], env: ['A=b'], cwd: '/w', user: 'u', additionalGroups: ['g'] },
    ...{ tty: true, stdin: false, privileged: false },
  },
  resources: {
    ...{ ulimits: [{ name: 'nofile', soft: 10, hard: -1 }], shmBytes: 1024, oomKillDisable: false },
    ...{ cpus: 1.2, pidsLimit: 7 },
  },
  security: { privileged: false, capAdd: [], capDrop: [], noNewPrivileges: true, seccomp: 'default' },
};

const FILES = {
  ...{
    qemu: '/q',
    virtiofsd: ['/v', '--fd=3'],
    initrd: '/i',
    image: '/img',
    writable: '/w',
    cgroups: ['/c1', '/c2'],
  },
  kernel: { path: '/k', direct: true },
  nics: 2,
};

test('the guest is told its names, mounts outermost first, limits and rights', () => {
  const fields = guestFields(SPEC);
  assert.deepEqual(fields['mount'], [
    'bind 1 rw /z',
    'tmpfs size=4096,mode=700 rw,exec /a/b',
    'bind 0 ro /a/b/c',
  ]);
  assert.match(String(fields['hosts']), /127\.0\.1\.1\th\.d\.example h\n10\.0\.0\.7\tdb\n/);
  assert.equal(fields['resolv.conf'], 'nameserver 9.9.9.9\n');
  assert.deepEqual(fields['rlimit'], ['7 10 18446744073709551615']);
  assert.deepEqual(fields['sysctl'], ['kernel.x=1']);
  assert.equal(fields['capabilities'], 'a80425fb');
  assert.deepEqual([fields['readonly'], fields['no_new_privileges'], fields['pids_max']], [true, true, 7]);
});

test('the machine gets whole processors, its files and a user of its own', () => {
  assert.equal(cpuCount(SPEC), 2);
  const fields = machineFields(SPEC, FILES, { accelerator: 'tcg', reason: '' });
  assert.deepEqual(fields['source'], ['0', '', '/src/one', '', 'ro', '1', '', '/src/two', '', 'rw']);
  assert.deepEqual(fields['cgroup'], ['/c1', '/c2']);
  assert.equal(fields['uid'], 1_879_048_192 + 0xababab);
  assert.notEqual(machineUid('cd'.repeat(32)), fields['uid']);
});

test('nothing that tells guests apart is on the command line', () => {
  const qemu = (spec: InstanceSpec) =>
    (machineFields(spec, FILES, { accelerator: 'tcg', reason: '' })['qemu'] as string[]).filter(
      (arg) => !arg.startsWith('berth-'),
    );
  const other = {
    ...SPEC,
    id: 'cd'.repeat(32),
    hostname: 'other',
    process: { ...SPEC.process, args: ['y'] },
  };
  assert.deepEqual(qemu(SPEC), qemu(other));
});

test('the main process is described whole', () => {
  const { arg, env, cwd, user, group, tty, stdin, init } = mainFields(SPEC);
  assert.deepEqual([arg, env, cwd, user, group], [['sh', '-c', 'x y'], ['A=b'], '/w', 'u', ['g']]);
  assert.deepEqual([tty, stdin, init], [true, false, true]);
});

test('what a guest cannot be given is refused with the reason', () => {
  const refused = (change: Partial<InstanceSpec>) => {
    try {
      checkSpec({ ...SPEC, ...change });
    } catch (error) {
      return (error as Error).message;
    }
    return '';
  };
  assert.equal(refused({}), '');
  assert.match(refused({ network: 'host' }), /host network/);
  assert.match(refused({ ipc: 'host' }), /host IPC/);
  assert.match(refused({ resources: { ...SPEC.resources, memoryBytes: 1 << 20 } }), /at least 96 MiB/);
  assert.match(
    refused({
      mounts: [{ type: 'bind', source: '/s', target: '/t', readonly: false, propagation: 'rshared' }],
    }),
    /propagation/,
  );
  const limits = { ...SPEC.resources, ulimits: [{ name: 'nonsense', soft: 1, hard: 1 }] };
  assert.match(refused({ resources: limits }), /nonsense/);
});

test('capabilities are added and dropped by Docker’s rules', () => {
  const mask = (capAdd: string[], capDrop: string[], privileged = false) =>
    capabilityMask({ capAdd, capDrop, privileged }).toString(16);
  assert.equal(mask([], []), 'a80425fb');
  assert.equal(mask([], ['ALL']), '0');
  assert.equal(mask(['CHOWN'], ['ALL']), '1');
  assert.equal(mask(['ALL'], ['CHOWN']), '1fffffffffe');
  assert.equal(mask([], [], true), '1ffffffffff');
  assert.throws(() => mask(['NOSUCH'], []), /CAP_NOSUCH/);
});

test('process lines become rows in the order of ps -ef', () => {
  const [row] = parseProcesses('12 1 root 10:02 pts/0 00:00:01 sh -c a b\n');
  assert.deepEqual(row, ['root', '12', '1', '0', '10:02', 'pts/0', '00:00:01', 'sh -c a b']);
});

const HOST = { accelerator: 'tcg', reason: '' } as const;

test('a fork differs from its template in its disks and in what it may do to the memory, and in nothing else', () => {
  const spec: InstanceSpec = { ...SPEC, mounts: [] };
  const template = { memory: '/t/memory', memoryBytes: 1, state: '/t/state', stateBytes: 2, stateSum: 'ff' };
  const fields = machineFields(spec, { ...FILES, template }, HOST);
  const shape = machineShape(spec, FILES, HOST);
  const made = templateFields(shape, FILES, 'cd'.repeat(32));
  const devices = (args: unknown) =>
    (args as string[]).flatMap((arg, at, all) => (all[at - 1] === '-device' ? [arg] : []));
  assert.deepEqual(devices(fields['fork']), devices(made['qemu']));
  assert.deepEqual(devices(fields['fork']), devices(fields['qemu']));
  assert.match(String(made['qemu']), /memory-backend-file,id=memory,size=256M,.*share=on/);
  assert.match(
    String(fields['fork']),
    /memory-backend-file,id=memory,size=256M,.*share=off.*-incoming,defer/,
  );
  assert.match(String(fields['qemu']), /memory-backend-file,id=memory,size=256M,.*share=on/);
  assert.doesNotMatch(String(fields['qemu']), /incoming/);
  assert.doesNotMatch(String([fields['fork'], made['qemu']]), /balloon|free-page/);
  assert.deepEqual([fields['memory'], fields['state'], fields['state_sum']], ['/t/memory', '/t/state', 'ff']);
  assert.equal(machineFields(spec, FILES, HOST)['fork'], undefined);
});

test('how it is to come up is a wish that may be impossible or unknown', () => {
  const wishing = (boot: string, mounts: InstanceSpec['mounts'] = []): InstanceSpec => ({
    ...SPEC,
    mounts,
    annotations: { 'berth.boot': boot },
  });
  assert.equal(bootMode(SPEC), 'auto');
  assert.equal(bootMode(wishing('cold')), 'cold');
  assert.equal(canFork(SPEC), false);
  assert.equal(canFork(wishing('fork')), true);
  assert.throws(() => checkSpec(wishing('fork', SPEC.mounts)), { code: 'unsupported' });
  checkSpec(wishing('pool', SPEC.mounts));
  assert.throws(() => checkSpec(wishing('hot')), { code: 'invalid-argument' });
});

test('memory of any size makes a shape of whole mebibytes', () => {
  const sized = (memoryBytes: number) =>
    machineShape({ ...SPEC, resources: { ...SPEC.resources, memoryBytes } }, FILES, HOST).memoryBytes;
  assert.equal(sized((200 << 20) + 5), 200 << 20);
  assert.equal(sized(5 * 2 ** 30), 5 * 2 ** 30);
});

const MIB = 1 << 20;
const LIMITS = { ulimits: [], shmBytes: 0, oomKillDisable: false };

test('the host holds the whole machine to what the user allows it', () => {
  const resources = {
    ...LIMITS,
    ...{ memoryBytes: 128 * MIB, memorySwapBytes: 192 * MIB, memoryReservationBytes: 64 * MIB },
    ...{ cpus: 0.5, cpuShares: 512, pidsLimit: 7 },
  };
  assert.deepEqual(hostLimits(resources, { memoryBytes: 256 * MIB, sharesFolders: false }), {
    ...{ cpus: 0.5, cpuShares: 512 },
    memoryBytes: 256 * MIB + MONITOR_MEMORY_BYTES,
    memorySwapBytes: 320 * MIB + MONITOR_MEMORY_BYTES,
    memoryReservationBytes: 64 * MIB + MONITOR_MEMORY_BYTES,
  });
});

test('limits of any disk are limits of the machine’s disks, the lowest one counts', () => {
  const rate = (path: string, value: number) => ({ path, value });
  const resources = { ...LIMITS, deviceReadBps: [rate('/dev/sda', 5), rate('/dev/vdb', 3)] };
  assert.equal(diskLimits(resources).disk_read_bps, 3);
  assert.equal(diskLimits(resources).disk_write_bps, undefined);
  const shared = hostLimits(resources, { memoryBytes: 0, sharesFolders: true });
  assert.deepEqual(shared.deviceReadBps, [rate('/dev/sda', 5)]);
  assert.equal(hostLimits(resources, { memoryBytes: 0, sharesFolders: false }).deviceReadBps, undefined);
});

test('a running machine cannot grow beyond its size', () => {
  const size = { memoryBytes: 256 * MIB, cpus: 2 };
  checkGrowth('x', size, { memoryBytes: 128 * MIB, cpus: 1 });
  const more = (change: object) => () => checkGrowth('x', size, { ...size, ...change });
  assert.throws(more({ memoryBytes: 257 * MIB }), { code: 'unsupported', message: /stop it, update it/ });
  assert.throws(more({ cpus: 3 }), { code: 'unsupported', message: /2 virtual CPUs/ });
});
