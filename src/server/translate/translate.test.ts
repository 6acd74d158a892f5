import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { WorkloadView } from '../../core/index.ts';
import type { Networks } from '../../engine/api.ts';
import { BUILT_IN } from '../../network/index.ts';
import { readCreate } from '../../wire/index.ts';
import { containerFilter } from './container-filters.ts';
import { toWorkloadSpec } from './create-spec.ts';
import { eventFilter, toEventLine } from './event-json.ts';
import { toInspect } from './inspect.ts';
import { toStatsJson } from './stats.ts';
import { describeStatus, toSummary } from './summary.ts';

const translate = (body: object) => toWorkloadSpec(readCreate({ Image: 'busybox', ...body }));
const spec = (hostConfig: object = {}, config: object = {}) =>
  translate({ ...config, HostConfig: hostConfig }).spec;

const NETWORKS = { get: () => BUILT_IN[0], list: () => BUILT_IN } as unknown as Networks;

/** A workload as the engine would show it. */
function view(change: Partial<WorkloadView> = {}): WorkloadView {
  return {
    id: 'a'.repeat(64),
    name: 'box',
    createdAt: '2026-01-01T00:00:00.000000000Z',
    spec: spec(),
    imageId: `sha256:${'b'.repeat(64)}`,
    entrypoint: [],
    command: ['sh', '-c', "echo 'hi'"],
    path: 'sh',
    args: ['-c', "echo 'hi'"],
    env: [],
    exposedPorts: ['80/tcp'],
    workingDir: '/',
    user: '',
    labels: { tier: 'web' },
    hostname: 'a',
    stopSignal: 'SIGTERM',
    state: 'created',
    restarting: false,
    removing: false,
    pid: 0,
    oomKilled: false,
    error: '',
    restartCount: 0,
    endpoints: [],
    published: [],
    mounts: [],
    logPath: '',
    execIds: [],
    ...change,
  };
}

describe('create', () => {
  test('isolation is chosen by option, runtime or label, and a contradiction is refused', () => {
    assert.equal(spec().isolation, 'container');
    assert.equal(spec({ Isolation: 'vm' }).isolation, 'vm');
    assert.equal(spec({ Isolation: 'default' }).isolation, 'container');
    assert.equal(spec({ Runtime: 'berth-vm' }).isolation, 'vm');
    assert.equal(spec({ Runtime: 'io.containerd.runc.v2' }).isolation, 'container');
    assert.equal(spec({}, { Labels: { 'berth.isolation': 'vm' } }).isolation, 'vm');
    assert.throws(() => spec({ Isolation: 'hyperv' }), /Invalid isolation: hyperv/);
    assert.throws(() => spec({ Runtime: 'kata' }), /runtime name: kata/);
    assert.throws(() => spec({ Isolation: 'vm', Runtime: 'runc' }), /contradict/);
  });

  test('options that would change what runs and are not there are refused by name', () => {
    const refused = {
      Links: ['a:b'],
      VolumesFrom: ['a'],
      DeviceRequests: [{ Count: -1 }],
      UsernsMode: 'auto',
      CgroupnsMode: 'host',
      MemorySwappiness: 10,
      PidMode: 'container:a',
    };
    for (const [key, value] of Object.entries(refused))
      assert.throws(() => spec({ [key]: value }), { code: 'unsupported', message: new RegExp(key) });
  });

  test('networks, addresses and names on them are read wherever clients put them', () => {
    const endpoint = { IPAMConfig: { IPv4Address: '10.0.0.2' }, Aliases: ['db'] };
    const NetworkingConfig = { EndpointsConfig: { web: endpoint, other: {} } };
    assert.deepEqual(spec({ NetworkMode: 'web' }, { NetworkingConfig }).networks, [
      { network: 'web', aliases: ['db'], ipv4: '10.0.0.2' },
      { network: 'other', aliases: [] },
    ]);
    assert.deepEqual(spec({}, { MacAddress: '02:00:00:00:00:01' }).networks, [
      { network: 'default', aliases: [], mac: '02:00:00:00:00:01' },
    ]);
    assert.deepEqual(
      spec({ NetworkMode: 'none' }, { NetworkingConfig: { EndpointsConfig: { none: {} } } }).networks,
      [],
    );
    assert.equal(spec({}, { NetworkDisabled: true }).networkMode, 'none');
    assert.equal(spec({}, { NetworkingConfig: { EndpointsConfig: { default: {} } } }).networkMode, 'default');
  });

  test('ports are published one, several or any, and shown as they were asked for', () => {
    const PortBindings = {
      '80/tcp': [
        { HostIp: '', HostPort: '8080' },
        { HostIp: '::1', HostPort: '' },
      ],
      '53/udp': [{ HostIp: '10.0.0.1', HostPort: '5300-5310' }],
      '443/tcp': null,
    };
    const asked = spec({ PortBindings });
    assert.deepEqual(asked.ports, [
      { port: 80, protocol: 'tcp', hostAddress: '', hostPorts: { first: 8080, last: 8080 } },
      { port: 80, protocol: 'tcp', hostAddress: '::1' },
      { port: 53, protocol: 'udp', hostAddress: '10.0.0.1', hostPorts: { first: 5300, last: 5310 } },
      { port: 443, protocol: 'tcp', hostAddress: '' },
    ]);
    const { HostConfig } = toInspect(view({ spec: asked }), NETWORKS);
    assert.deepEqual(HostConfig.PortBindings, { ...PortBindings, '443/tcp': [{ HostIp: '', HostPort: '' }] });
    const bad =
      (port: string, HostPort: string, HostIp = '') =>
      () =>
        spec({ PortBindings: { [port]: [{ HostPort, HostIp }] } });
    assert.throws(bad('80/sctp', '80'), /protocols are tcp and udp/);
    assert.throws(bad('80/tcp', '70000'), /70000 is no port/);
    assert.throws(bad('80/tcp', '90-80'), /no range/);
    assert.throws(bad('80/tcp', '80', 'here'), /invalid host address/);
  });

  test('what clients always send empty passes', () => {
    const empty = {
      PortBindings: {},
      Links: null,
      DeviceRequests: null,
      UsernsMode: '',
      MemorySwappiness: -1,
    };
    assert.equal(
      spec({ ...empty, KernelMemory: 0, BlkioWeightDevice: [], CpuCount: 0 }).isolation,
      'container',
    );
  });

  test('binds become bind mounts that make their source, and named volumes', () => {
    const { mounts } = spec({ Binds: ['/src:/dst:ro,z', 'data:/var/data:nocopy', '/a:/b:rslave'] });
    assert.deepEqual(mounts, [
      {
        type: 'bind',
        source: '/src',
        target: '/dst',
        readonly: true,
        propagation: 'rprivate',
        createSource: true,
      },
      { type: 'volume', name: 'data', target: '/var/data', readonly: false, noCopy: true },
      {
        type: 'bind',
        source: '/a',
        target: '/b',
        readonly: false,
        propagation: 'rslave',
        createSource: true,
      },
    ]);
    for (const bad of ['/a', '/a:/b:odd', 'a b:/c', ':/b', '/a:/b:ro:x'])
      assert.throws(() => spec({ Binds: [bad] }), { code: 'invalid-argument' });
  });

  test('a read-only bind reaches as far as was asked, or is refused by name', () => {
    const bind = (ReadOnly: boolean, BindOptions: object) =>
      spec({ Mounts: [{ Type: 'bind', Source: '/s', Target: '/t', ReadOnly, BindOptions }] }).mounts[0];
    const reach = (options: object) => (bind(true, options) as { reach?: string }).reach;
    assert.equal(reach({}), undefined);
    assert.equal(reach({ ReadOnlyNonRecursive: true }), 'top');
    assert.equal(reach({ ReadOnlyForceRecursive: true }), 'all');
    const force = { ReadOnlyForceRecursive: true };
    assert.throws(() => bind(false, force), /must be read-only for ReadOnlyForceRecursive/);
    assert.throws(
      () => bind(true, { ...force, Propagation: 'rslave' }),
      /requires Propagation set to rprivate/,
    );
    assert.throws(() => bind(true, { ...force, ReadOnlyNonRecursive: true }), /exclude each other/);
    assert.throws(
      () => bind(true, { NonRecursive: true }),
      /NonRecursive of the bind at \/t is not supported/,
    );
  });

  test('mount objects and tmpfs maps carry their options', () => {
    const { mounts } = spec(
      {
        Mounts: [
          { Type: 'bind', Source: '/s', Target: '/t', BindOptions: { Propagation: 'rshared' } },
          { Type: 'tmpfs', Target: '/m', TmpfsOptions: { SizeBytes: 4096, Mode: 0o700 } },
        ],
        Tmpfs: { '/run': 'exec,size=1m,mode=755,ro' },
      },
      { Volumes: { '/cache': {} } },
    );
    assert.deepEqual(
      mounts.map((mount) => [mount.type, mount.target]),
      [
        ['bind', '/t'],
        ['tmpfs', '/m'],
        ['tmpfs', '/run'],
        ['volume', '/cache'],
      ],
    );
    assert.deepEqual(mounts[2], {
      type: 'tmpfs',
      target: '/run',
      readonly: true,
      options: ['nosuid', 'nodev', 'exec'],
      sizeBytes: 1 << 20,
      mode: 0o755,
    });
  });

  test('limits of disks come and go in Docker’s shape, the last word about one counting', () => {
    const rate = (Path: string, Rate: number) => ({ Path, Rate });
    const asked = spec({
      BlkioDeviceReadBps: [rate('/dev/sda', 1), rate('/dev/sdb', 2), rate('/dev/sda', 3)],
      BlkioDeviceWriteIOps: [],
      BlkioWeightDevice: [{ Path: '/dev/sda', Weight: 300 }],
    });
    const { HostConfig } = toInspect(view({ spec: asked }), NETWORKS);
    assert.deepEqual(HostConfig.BlkioDeviceReadBps, [rate('/dev/sda', 3), rate('/dev/sdb', 2)]);
    assert.equal(HostConfig.BlkioDeviceWriteIOps, null);
    assert.deepEqual(HostConfig.BlkioWeightDevice, [{ Path: '/dev/sda', Weight: 300 }]);
    assert.throws(
      () => spec({ BlkioDeviceReadBps: [{ Path: '/dev/sda', Rate: 'x' }] }),
      /not a whole number/,
    );
  });

  test('limits are translated, and conflicting ones refused', () => {
    const { resources } = spec({
      NanoCpus: 1.5e9,
      Memory: 64 << 20,
      PidsLimit: -1,
      Ulimits: [{ Name: 'nofile', Soft: 1, Hard: 2 }],
    });
    assert.equal(resources.cpus, 1.5);
    assert.equal(resources.memoryBytes, 64 << 20);
    assert.equal(resources.pidsLimit, undefined);
    assert.equal(resources.shmBytes, 64 << 20);
    assert.equal(spec({ CpuQuota: 50_000, CpuPeriod: 100_000 }).resources.cpus, 0.5);
    assert.throws(() => spec({ NanoCpus: 1, CpuQuota: 1 }), /Conflicting options/);
    assert.throws(() => spec({ Ulimits: [{ Name: 'nofiles', Soft: 1, Hard: 1 }] }), /invalid ulimit type/);
    assert.throws(() => spec({ Memory: -5 }), /Memory cannot be negative/);
  });

  test('security options are read in both of their forms', () => {
    const { security } = spec({
      CapAdd: ['CAP_NET_ADMIN'],
      CapDrop: ['all'],
      SecurityOpt: ['no-new-privileges', 'seccomp=unconfined'],
    });
    assert.deepEqual(security.capAdd, ['NET_ADMIN']);
    assert.deepEqual(security.capDrop, ['ALL']);
    assert.equal(security.noNewPrivileges, true);
    assert.equal(security.seccomp, 'unconfined');
    assert.equal(spec({ SecurityOpt: ['no-new-privileges:false'] }).security.noNewPrivileges, false);
    assert.throws(() => spec({ CapAdd: ['CAP_FLY'] }), /unknown capability: "CAP_FLY"/);
    assert.throws(() => spec({ SecurityOpt: ['seccomp={bad'] }), /seccomp profile failed/);
    assert.throws(() => spec({ SecurityOpt: ['what'] }), /invalid --security-opt: "what"/);
    const apparmor = translate({ HostConfig: { SecurityOpt: ['apparmor=docker-default'] } });
    assert.match(apparmor.warnings[0] ?? '', /AppArmor profile docker-default is not applied/);
  });

  test('log options and restart policies are checked', () => {
    const log = { Type: 'json-file', Config: { 'max-size': '10k', 'max-file': '3' } };
    assert.deepEqual(spec({ LogConfig: log }).log, { driver: 'json-file', maxFiles: 3, maxBytes: 10_240 });
    assert.throws(() => spec({ LogConfig: { Type: 'syslog' } }), /log driver syslog is not supported/);
    assert.throws(() => spec({ LogConfig: { Type: '', Config: { size: '1' } } }), /unknown log opt 'size'/);
    assert.throws(() => spec({ RestartPolicy: { Name: 'often' } }), /unknown policy 'often'/);
  });

  test('health checks count in nanoseconds on the wire', () => {
    const health = { Test: ['CMD', 'true'], Interval: 2e9 };
    assert.equal(spec({}, { Healthcheck: health }).health?.intervalMs, 2000);
    assert.throws(() => spec({}, { Healthcheck: { Interval: 5 } }), /cannot be less than 1ms/);
  });
});

describe('inspect', () => {
  test('what was asked for comes back in Docker’s shape', () => {
    const asked = spec({
      Isolation: 'vm',
      Binds: ['/a:/b:ro', 'v:/c'],
      Tmpfs: { '/t': 'size=1k' },
      Memory: 8 << 20,
      RestartPolicy: { Name: 'on-failure', MaximumRetryCount: 2 },
    });
    const { HostConfig } = toInspect(view({ spec: asked }), NETWORKS);
    assert.equal(HostConfig.Isolation, 'vm');
    assert.equal(HostConfig.Runtime, 'vm');
    assert.deepEqual(HostConfig.Binds, ['/a:/b:ro', 'v:/c']);
    assert.deepEqual(HostConfig.Tmpfs, { '/t': 'noexec,nosuid,nodev,size=1024' });
    assert.equal(HostConfig.Memory, 8 << 20);
    assert.deepEqual(HostConfig.RestartPolicy, { Name: 'on-failure', MaximumRetryCount: 2 });
  });

  test('the state of an ended workload carries its exit', () => {
    const exit = { code: 137, oomKilled: true, finishedAt: '2026-01-01T00:00:05Z' };
    const ended = { state: 'exited' as const, exit, oomKilled: true, startedAt: '2026-01-01T00:00:01Z' };
    const { State } = toInspect(view(ended), NETWORKS);
    assert.deepEqual(
      [State.Status, State.Running, State.ExitCode, State.OOMKilled, State.FinishedAt],
      ['exited', false, 137, true, '2026-01-01T00:00:05Z'],
    );
  });
});

describe('summary', () => {
  const now = Date.parse('2026-01-01T02:00:00Z');

  test('the status column reads as Docker’s', () => {
    const startedAt = '2026-01-01T01:57:00Z';
    const exit = { code: 3, oomKilled: false, finishedAt: '2026-01-01T00:00:00Z' };
    assert.equal(describeStatus(view(), now), 'Created');
    assert.equal(describeStatus(view({ state: 'running', startedAt }), now), 'Up 3 minutes');
    assert.equal(describeStatus(view({ state: 'paused', startedAt }), now), 'Up 3 minutes (Paused)');
    const unknown = view({
      state: 'unknown',
      stateReason: 'its supervisor does not answer',
      error: 'earlier',
    });
    const why = 'its supervisor does not answer; stop or kill it, or remove it by force, if it stays so';
    assert.equal(describeStatus(unknown, now), `Unknown (${why})`);
    const state = toInspect(unknown, NETWORKS).State;
    assert.deepEqual([state.Status, state.Error], ['dead', `Unknown: ${why}`]);
    assert.equal(describeStatus(view({ state: 'exited', exit }), now), 'Exited (3) 2 hours ago');
    const health = { status: 'healthy' as const, failingStreak: 0, log: [] };
    assert.equal(
      describeStatus(view({ state: 'running', startedAt, health }), now),
      'Up 3 minutes (healthy)',
    );
  });

  test('the command is quoted where a shell would need it', () => {
    const summary = toSummary(view(), NETWORKS, now);
    assert.equal(summary.Command, `sh -c 'echo '\\''hi'\\'''`);
    assert.deepEqual(summary.Ports, [{ PrivatePort: 80, Type: 'tcp' }]);
  });

  test('filters narrow the list', () => {
    const passes = (filters: Record<string, string[]>) =>
      containerFilter(new Map(Object.entries(filters)), { find: () => view(), imageIds: new Set() })(view());
    assert.equal(passes({ name: ['^/?box$'] }), true);
    assert.equal(passes({ name: ['other'] }), false);
    assert.equal(passes({ label: ['tier=web'], status: ['created'] }), true);
    assert.equal(passes({ isolation: ['vm'] }), false);
    assert.equal(passes({ ancestor: ['busybox'] }), true);
    assert.throws(() => passes({ status: ['odd'] }), /possible are created/);
    assert.throws(() => passes({ exited: ['x'] }), /not a whole number/);
  });
});

describe('stats and events', () => {
  test('a sample holds what clients compute percentages from', () => {
    const stats = {
      readAt: '2026-01-01T00:00:00Z',
      memory: { usageBytes: 10, cacheBytes: 4, detail: {} },
      cpu: { totalNs: 7 },
      pids: { current: 1 },
    };
    const context = { id: 'a', name: 'box', cpus: 2, hostMemoryBytes: 100 };
    const carried = { receivedBytes: 1, receivedPackets: 2, sentBytes: 3, sentPackets: 4 };
    const networks = new Map([['eth0', carried]]);
    const json = toStatsJson(context, { stats, hostCpuNs: 50, networks }, undefined);
    assert.equal(json.cpu_stats.cpu_usage.total_usage, 7);
    assert.deepEqual(Object.keys(json.networks), ['eth0']);
    assert.deepEqual(json.memory_stats, {
      usage: 10,
      stats: { total_inactive_file: 4, inactive_file: 4 },
      limit: 100,
    });
    assert.equal('system_cpu_usage' in json.precpu_stats, false);
  });

  test('an event keeps its nanoseconds exactly', () => {
    const event = {
      type: 'container' as const,
      action: 'exec_start: ls',
      actor: { id: 'abc', attributes: { name: 'box', image: 'busybox:latest' } },
      timeNano: 1_700_000_000_000_000_001n,
    };
    assert.match(toEventLine(event), /"timeNano":1700000000000000001\}\n$/);
    const passes = (filters: Record<string, string[]>) =>
      eventFilter(new Map(Object.entries(filters)))(event);
    assert.equal(passes({ event: ['exec_start'], container: ['box'] }), true);
    assert.equal(passes({ image: ['busybox'] }), true);
    assert.equal(passes({ type: ['image'] }), false);
    assert.equal(passes({ container: ['ab'] }), true);
  });
});
