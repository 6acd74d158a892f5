import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import {
  BerthError,
  CAPABILITIES,
  DEFAULT_CAPABILITIES,
  type InstanceSpec,
  isBerthError,
} from '../../core/index.ts';
import { splitDevice } from '../../host/block-device.ts';
import { parseCgroupMounts } from '../../host/cgroup.ts';
import { capabilitiesOf, parseCapabilityMask } from './capabilities.ts';
import { type HostTraits, ociConfig } from './config.ts';
import { filesOf, mountsOf } from './config-mounts.ts';
import { launchError, runtimeMessage } from './launch-error.ts';
import { shimArguments } from './process.ts';
import { filterTable } from './processes.ts';
import { mountOf } from './propagation.ts';
import { customSeccomp, defaultSeccomp } from './seccomp.ts';
import { parseHardLimits } from './traits.ts';

const SPEC: InstanceSpec = {
  id: 'a'.repeat(64),
  dir: '/state/a',
  rootfs: { imageId: 'sha256:0', layers: ['/layers/low', '/layers/high'] },
  process: {
    args: ['sh'],
    env: ['PATH=/bin'],
    cwd: '/',
    user: '',
    additionalGroups: [],
    tty: false,
    stdin: false,
    privileged: false,
  },
  hostname: 'h',
  domainname: '',
  extraHosts: ['db:10.0.0.2'],
  dns: [],
  network: 'private',
  ipc: 'private',
  pidMode: 'private',
  mounts: [],
  devices: [],
  sysctls: {},
  resources: { ulimits: [], shmBytes: 1024, oomKillDisable: false },
  security: { privileged: false, capAdd: [], capDrop: [], noNewPrivileges: false, seccomp: 'default' },
  readonlyRoot: false,
  init: false,
  log: { driver: 'json-file', maxBytes: 1000, maxFiles: 3 },
  cgroupPath: '/berth-1/a',
  annotations: {},
};
const HOST: HostTraits = {
  arch: 'x64',
  kernel: '6.1.0',
  capabilities: CAPABILITIES,
  hardLimits: new Map([['RLIMIT_NOFILE', 20000]]),
  swapLimit: true,
  blkioWeight: false,
  cgroupVersion: 1,
};
const ROOT = { uid: 0, gid: 0, additionalGids: [0], home: '/root' };

function config(change: Partial<InstanceSpec> = {}, extra: object = {}) {
  const text = ociConfig({
    spec: { ...SPEC, ...change },
    host: HOST,
    identity: ROOT,
    devices: [],
    diskNumber: () => ({ major: 8, minor: 0 }),
    ...extra,
  });
  return { text, json: JSON.parse(text) };
}

describe('ociConfig', () => {
  it('puts each kind of namespace where it is private', () => {
    const kinds = (change: Partial<InstanceSpec>) =>
      config(change).json.linux.namespaces.map((entry: { type: string }) => entry.type);
    assert.deepEqual(kinds({}), ['mount', 'uts', 'network', 'pid', 'ipc', 'cgroup']);
    assert.deepEqual(kinds({ network: 'host', pidMode: 'host', ipc: 'host' }), ['mount', 'uts', 'cgroup']);
  });
  it('never lets an annotation of the user steer the runtime', () => {
    const { json } = config({
      annotations: { 'run.oci.seccomp_bpf_data': 'AAAA', 'run.oci.hooks.stdout': 'x', mine: '1' },
    });
    assert.deepEqual(json.annotations, { mine: '1' });
  });
  it('keeps the readable filter beside the compiled one', () => {
    const { json } = config({}, { seccomp: defaultSeccomp([], 'x64'), seccompBpf: 'QUJD' });
    assert.equal(json.annotations['run.oci.seccomp_bpf_data'], 'QUJD');
    assert.equal(json.linux.seccomp.defaultAction, 'SCMP_ACT_ERRNO');
  });
  it('raises no limit above the host and writes unlimited as the kernel does', () => {
    const ulimits = [
      { name: 'nofile', soft: 1024, hard: 1_000_000 },
      { name: 'core', soft: -1, hard: -1 },
    ];
    const { text, json } = config({ resources: { ...SPEC.resources, ulimits } });
    assert.deepEqual(json.process.rlimits[0], { type: 'RLIMIT_NOFILE', hard: 20000, soft: 1024 });
    assert.match(text, /"type":"RLIMIT_CORE","hard":18446744073709551615,"soft":18446744073709551615/);
  });
  it('gives an ordinary user no capability in effect', () => {
    const { json } = config({}, { identity: { ...ROOT, uid: 1000 } });
    assert.equal(json.process.capabilities.effective.length, 0);
    assert.equal(json.process.capabilities.bounding.length, DEFAULT_CAPABILITIES.length);
  });
  it('covers paths of the kernel unless privileged', () => {
    assert.ok(config().json.linux.maskedPaths.includes('/proc/kcore'));
    const open = config({ security: { ...SPEC.security, privileged: true } }).json;
    assert.deepEqual([open.linux.maskedPaths, open.linux.readonlyPaths], [[], []]);
  });
  it('runs under init when asked to', () => {
    assert.deepEqual(config({ init: true }).json.process.args, ['/sbin/docker-init', '--', 'sh']);
  });
  it('leaves out limits that are not given or that the kernel lacks', () => {
    const limits = { ...SPEC.resources, memoryBytes: 5, cpus: 0.5, blkioWeight: 300 };
    const { resources } = config({ resources: limits }).json.linux;
    assert.deepEqual(resources.memory, { limit: 5 });
    assert.deepEqual(resources.cpu, { quota: 50_000, period: 100_000 });
    assert.equal(resources.blockIO, undefined);
  });
  it('limits disks by their numbers, and leaves out weights that no scheduler heeds', () => {
    const limits = {
      ...SPEC.resources,
      deviceReadBps: [{ path: '/dev/sda', value: 1024 }],
      deviceWriteIops: [{ path: '/dev/sda', value: 10 }],
      deviceWeights: [{ path: '/dev/sda', value: 300 }],
    };
    const { resources } = config({ resources: limits }).json.linux;
    assert.deepEqual(resources.blockIO, {
      throttleReadBpsDevice: [{ major: 8, minor: 0, rate: 1024 }],
      throttleWriteIOPSDevice: [{ major: 8, minor: 0, rate: 10 }],
    });
  });
});

describe('mountsOf', () => {
  it('lets mounts of the user replace ours, parents first', () => {
    const bind = { type: 'bind', source: '/s', readonly: true, propagation: 'rprivate' } as const;
    const mounts = [
      { ...bind, target: '/a/b' },
      { ...bind, target: '/a' },
      { ...bind, target: '/etc/hosts' },
    ];
    const made = mountsOf({ ...SPEC, mounts }).map((entry) => `${entry.destination} ${entry.source}`);
    const prepared = ['/a /state/a/run/source.1', '/a/b /state/a/run/source.0'];
    assert.deepEqual(made.slice(-3), [...prepared, '/etc/hosts /state/a/run/source.2']);
    assert.ok(!made.includes('/etc/hosts /state/a/run/hosts'));
  });
  it('makes tmpfs safe unless options say otherwise', () => {
    const tmpfs = {
      type: 'tmpfs',
      target: '/t',
      sizeBytes: 9,
      mode: 0o700,
      readonly: false,
      options: ['exec'],
    } as const;
    assert.deepEqual(mountsOf({ ...SPEC, mounts: [tmpfs] }).at(-1)?.options, [
      'nosuid',
      'nodev',
      'exec',
      'size=9',
      'mode=700',
    ]);
  });
  it('writes hosts with the extra ones', () => {
    const files = filesOf(SPEC, { hosts: 'host file\n', resolvConf: 'nameserver 9.9.9.9\n' });
    assert.match(files['hosts'] ?? '', /^127\.0\.0\.1\tlocalhost\n[\s\S]*10\.0\.0\.2\tdb\n$/);
    const shared = filesOf({ ...SPEC, network: 'host' }, { hosts: 'host file\n', resolvConf: 'r\n' });
    assert.deepEqual([shared['hosts'], shared['resolv.conf']], ['host file\n10.0.0.2\tdb\n', 'r\n']);
  });
  it('tells the names and servers of the run, which ask the workload’s own servers unless those are inside', () => {
    const run = {
      endpoints: [],
      nameservers: ['10.208.0.1'],
      searches: ['a', 'b'],
      hosts: ['10.208.0.2 web'],
    };
    const none = { hosts: '', resolvConf: '' };
    const files = filesOf({ ...SPEC, dns: [] }, none, run);
    assert.match(files['hosts'] ?? '', /\n10\.208\.0\.2 web\n$/);
    assert.equal(files['resolv.conf'], 'search a b\nnameserver 10.208.0.1\noptions ndots:0\n');
    const own = (dns: string, network?: typeof run) =>
      filesOf({ ...SPEC, dns: [dns] }, none, network)['resolv.conf'];
    assert.equal(own('9.9.9.9', run), files['resolv.conf']);
    assert.match(own('127.0.0.1', run) ?? '', /\nnameserver 127\.0\.0\.1\n/);
    assert.equal(own('9.9.9.9'), 'nameserver 9.9.9.9\n');
  });
});

describe('capabilitiesOf', () => {
  const of = (change: Partial<InstanceSpec['security']>, available: readonly string[] = CAPABILITIES) =>
    capabilitiesOf({ ...SPEC.security, ...change }, available);
  it('adds to and drops from the default set', () => {
    assert.equal(of({}).length, 14);
    assert.deepEqual(of({ capDrop: ['ALL'], capAdd: ['NET_ADMIN'] }), ['CAP_NET_ADMIN']);
    assert.ok(!of({ capDrop: ['MKNOD'] }).includes('CAP_MKNOD'));
    assert.equal(of({ capAdd: ['ALL'], capDrop: ['SYS_ADMIN'] }).length, CAPABILITIES.length - 1);
  });
  it('gives nothing that the host lacks', () => {
    assert.deepEqual(of({ privileged: true }, ['CHOWN']), ['CAP_CHOWN']);
    assert.deepEqual(parseCapabilityMask('5'), ['CHOWN', 'DAC_READ_SEARCH']);
  });
  it('refuses names that do not exist', () => {
    assert.throws(
      () => of({ capAdd: ['FLY'] }),
      (error) => isBerthError(error, 'invalid-argument'),
    );
  });
});

describe('seccomp', () => {
  const names = (capabilities: readonly string[]) =>
    defaultSeccomp(capabilities, 'x64')
      .syscalls.filter((rule) => rule.action === 'SCMP_ACT_ALLOW' && !rule.args)
      .flatMap((rule) => rule.names);
  it('keeps namespaces, mounts and kernel doors shut without the capability', () => {
    for (const name of [
      'unshare',
      'mount',
      'setns',
      'bpf',
      'userfaultfd',
      'keyctl',
      'io_uring_setup',
      'kexec_load',
      'clone',
      'clone3',
      'reboot',
    ])
      assert.ok(!names([]).includes(name), name);
    assert.ok(names(['CAP_SYS_ADMIN']).includes('mount'));
    assert.ok(names(['CAP_SYS_BOOT']).includes('reboot'));
  });
  it('answers clone3 with ENOSYS, so that programs fall back', () => {
    const rule = defaultSeccomp([], 'x64').syscalls.find((entry) => entry.names.includes('clone3'));
    assert.deepEqual([rule?.action, rule?.errnoRet], ['SCMP_ACT_ERRNO', 38]);
  });
  it('decides the conditions of a profile in Docker’s format', () => {
    const profile = JSON.stringify({
      defaultAction: 'SCMP_ACT_ERRNO',
      archMap: [{ architecture: 'SCMP_ARCH_X86_64', subArchitectures: ['SCMP_ARCH_X86'] }],
      syscalls: [
        { names: ['read'], action: 'SCMP_ACT_ALLOW' },
        { names: ['mount'], action: 'SCMP_ACT_ALLOW', includes: { caps: ['CAP_SYS_ADMIN'] } },
        { names: ['ptrace'], action: 'SCMP_ACT_ALLOW', includes: { minKernel: '4.8' } },
        { names: ['breakpoint'], action: 'SCMP_ACT_ALLOW', includes: { arches: ['arm64'] } },
      ],
    });
    const resolved = customSeccomp(profile, { capabilities: [], arch: 'x64', kernel: '6.1.0-13' });
    assert.deepEqual(
      resolved.syscalls.map((rule) => rule.names[0]),
      ['read', 'ptrace'],
    );
    assert.deepEqual(resolved.architectures, ['SCMP_ARCH_X86_64', 'SCMP_ARCH_X86']);
  });
  it('names what is wrong with a profile', () => {
    const context = { capabilities: [], arch: 'x64', kernel: '6.1' };
    assert.throws(() => customSeccomp('{', context), /not JSON/);
    assert.throws(() => customSeccomp('{"syscalls":[{}]}', context), /defaultAction/);
  });
});

describe('what the runtime says', () => {
  it('is understood as text, JSON and logfmt', () => {
    assert.equal(runtimeMessage('{"msg":"a \\"b\\"","level":"error"}'), 'a "b"');
    assert.equal(runtimeMessage('time="x" level=error msg="no \\"d\\""'), 'no "d"');
    assert.equal(runtimeMessage('plain\n'), 'plain');
  });
  it('becomes Docker’s message with the exit status', () => {
    const cause = new BerthError('invalid-argument', 'executable file `x` not found in $PATH', {
      exitStatus: 127,
    });
    const error = launchError('create', 'x', cause);
    assert.ok(error instanceof BerthError);
    assert.equal(error.exitStatus, 127);
    assert.match(error.message, /exec: "x": executable file not found in \$PATH/);
  });
  it('of a pause between two looks is a conflict', () => {
    for (const message of [
      'the container `a1` is paused',
      'cannot exec in a paused container (use --ignore-paused)',
    ])
      assert.ok(isBerthError(launchError('exec', 'x', new BerthError('internal', message)), 'conflict'));
  });
});

describe('tables, devices and limits', () => {
  it('keeps the rows of the container and the spaces of commands', () => {
    const output = 'UID   PID CMD\nroot    1 init\nroot   42 sh -c  x y\n';
    assert.deepEqual(filterTable(output, [42]), {
      titles: ['UID', 'PID', 'CMD'],
      rows: [['root', '42', 'sh -c x y']],
    });
    assert.throws(() => filterTable('CMD\nsh\n', [1]), /PID/);
  });
  it('splits device numbers', () => {
    assert.deepEqual(splitDevice(0x0103), { major: 1, minor: 3 });
    assert.deepEqual(splitDevice(0xfd00 + 0x100000), { major: 0xfd, minor: 0x100 });
  });
  it('reads hard limits and passes over unlimited ones', () => {
    const text =
      'Limit   Soft Limit  Hard Limit  Units\nMax open files            1024                 20000                files\nMax cpu time              unlimited            unlimited            seconds\n';
    assert.deepEqual([...parseHardLimits(text)], [['RLIMIT_NOFILE', 20000]]);
  });
});

describe('shimArguments', () => {
  it('tells layers, cgroups and logging', () => {
    const mountinfo = [
      '1 0 0:1 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory',
      '2 0 0:2 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw',
    ].join('\n');
    const args = shimArguments({
      spec: SPEC,
      runtimePath: '/usr/bin/crun',
      cgroups: parseCgroupMounts(mountinfo, () => ''),
    });
    assert.deepEqual(args, [
      'container',
      '--dir=/state/a',
      `--id=${SPEC.id}`,
      '--runtime=/usr/bin/crun',
      '--layer=/layers/low',
      '--layer=/layers/high',
      '--cgroup=/sys/fs/cgroup/memory/berth-1/a',
      '--oom-file=/sys/fs/cgroup/memory/berth-1/a/memory.oom_control',
      '--cover=/sys/fs/cgroup/unified',
      '--network',
      '--log-max-files=3',
      '--log-max-bytes=1000',
    ]);
  });
});

const MOUNTINFO = `22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda rw
30 22 0:40 / /data rw master:5 - tmpfs t rw
31 22 0:41 / /data2 rw - tmpfs t rw
32 30 0:42 / /data/deep rw shared:7 master:5 - tmpfs t rw
`;

it('a path belongs to the innermost mount that holds it', () => {
  assert.deepEqual(mountOf('/etc', MOUNTINFO), { point: '/', tags: 'shared:1' });
  assert.deepEqual(mountOf('/data/x', MOUNTINFO), { point: '/data', tags: 'master:5' });
  assert.deepEqual(mountOf('/data2', MOUNTINFO), { point: '/data2', tags: '' });
  assert.deepEqual(mountOf('/data/deep/er', MOUNTINFO), { point: '/data/deep', tags: 'shared:7 master:5' });
});
