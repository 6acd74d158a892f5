import assert from 'node:assert/strict';
import { watch } from 'node:fs';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { type CgroupHost, freezeCgroup, parseCgroupMounts } from './cgroup.ts';
import { formerLine, liftedDevices } from './cgroup-devices.ts';
import { cgroupWrites, limitCgroup } from './cgroup-limits.ts';
import { parseBlockIo, parseFlat } from './cgroup-stats.ts';
import { cpuWeight } from './cgroup-write.ts';
import { parsePressure, readPressures, toPressures } from './pressure.ts';

const V1 = [
  '30 24 0:26 / /sys/fs/cgroup rw - tmpfs tmpfs rw,mode=755',
  '31 30 0:27 / /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct',
  '32 30 0:28 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory',
  '33 30 0:29 / /sys/fs/cgroup/systemd rw - cgroup cgroup rw,xattr,name=systemd',
  '34 30 0:30 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw',
].join('\n');

describe('parseCgroupMounts', () => {
  it('takes a hybrid host for version 1 and knows every hierarchy', () => {
    const host = parseCgroupMounts(V1, () => assert.fail('reads no file'));
    assert.equal(host.version, 1);
    assert.deepEqual([...host.controllers.keys()], ['cpu', 'cpuacct', 'memory']);
    assert.equal(host.hierarchies.length, 4);
  });
  it('reads the controllers of a version 2 host', () => {
    const host = parseCgroupMounts(
      '30 24 0:26 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw',
      () => 'cpu memory pids\n',
    );
    assert.equal(host.version, 2);
    assert.equal(host.controllers.get('pids'), '/sys/fs/cgroup');
  });
});

describe('freezeCgroup on version 2', () => {
  /** A group of a kernel that answers what is written to cgroup.freeze `answered` times. */
  async function group(t: TestContext, answered: number): Promise<CgroupHost> {
    const root = await mkdtemp(join(tmpdir(), 'berth-cgroup-'));
    const [freeze, events] = [join(root, 'cgroup.freeze'), join(root, 'cgroup.events')];
    await writeFile(freeze, '0');
    await writeFile(events, 'populated 1\nfrozen 0\n');
    let left = answered;
    const kernel = watch(freeze, async () => {
      const wanted = await readFile(freeze, 'utf8');
      if (wanted !== '' && left-- > 0) await writeFile(events, `populated 1\nfrozen ${wanted}\n`);
    });
    t.after(async () => {
      kernel.close();
      await rm(root, { recursive: true });
    });
    return { version: 2, controllers: new Map([['freezer', root]]), hierarchies: [root], unified: root };
  }

  it('resolves when the kernel tells that it is done', async (t) => {
    const host = await group(t, Number.POSITIVE_INFINITY);
    for (const frozen of [true, false, true]) await freezeCgroup('/', frozen, host);
  });
  it('thaws what could not be frozen in time, and says so', async (t) => {
    const host = await group(t, 0);
    await assert.rejects(freezeCgroup('/', true, host, 50), {
      code: 'timeout',
      message: /could not be frozen/,
    });
    assert.equal(await readFile(join(host.hierarchies[0] ?? '', 'cgroup.freeze'), 'utf8'), '0');
  });
});

const files = (writes: ReturnType<typeof cgroupWrites>) =>
  Object.fromEntries(writes.map((write) => [write.file, write.value]));

describe('cgroupWrites', () => {
  const limits = {
    memoryBytes: 1000,
    memorySwapBytes: 3000,
    cpus: 1.5,
    cpuShares: 1024,
    pidsLimit: 7,
    blkioWeight: 500,
    cpusetCpus: '0',
  };
  it('writes version 1 files', () => {
    assert.deepEqual(files(cgroupWrites(limits, 1)), {
      'memory.limit_in_bytes': '1000',
      'memory.memsw.limit_in_bytes': '3000',
      'cpu.cfs_period_us': '100000',
      'cpu.cfs_quota_us': '150000',
      'cpu.shares': '1024',
      'cpuset.cpus': '0',
      'pids.max': '7',
      'blkio.weight': '500',
      'blkio.bfq.weight': '500',
    });
  });
  it('writes version 2 files, swap without memory', () => {
    const written = files(cgroupWrites(limits, 2));
    assert.equal(written['memory.swap.max'], '2000');
    assert.equal(written['cpu.max'], '150000 100000');
    assert.equal(written['cpu.weight'], '39');
  });
  it('leaves alone what is not given and lifts a limit of -1', () => {
    assert.deepEqual(cgroupWrites({}, 2), []);
    assert.equal(files(cgroupWrites({ pidsLimit: -1, memorySwapBytes: -1 }, 2))['pids.max'], 'max');
  });
  it('limits each disk by a line of its own, and lifts with 0', () => {
    const disks = {
      deviceReadBps: [{ path: '/dev/sda', value: 1024 }],
      deviceWriteIops: [{ path: '/dev/sda', value: 0 }],
      deviceWeights: [{ path: '/dev/sda', value: 500 }],
    };
    const lines = (version: 1 | 2) =>
      cgroupWrites(disks, version, () => ({ major: 8, minor: 0 })).map(
        ({ file, value }) => `${file}: ${value}`,
      );
    assert.deepEqual(lines(1), [
      'blkio.throttle.read_bps_device: 8:0 1024',
      'blkio.throttle.write_iops_device: 8:0 0',
      'blkio.weight_device: 8:0 500',
      'blkio.bfq.weight_device: 8:0 500',
    ]);
    assert.deepEqual(lines(2), [
      'io.max: 8:0 rbps=1024',
      'io.max: 8:0 wiops=max',
      'io.weight: 8:0 4950',
      'io.bfq.weight: 8:0 500',
    ]);
  });
  it('knows a disk’s line as it stood, so that a change can be undone', () => {
    const write = { controller: 'io', file: 'io.max', value: '8:0 rbps=1', optional: false, device: '8:0' };
    const text = '254:0 rbps=5 wbps=max riops=max wiops=max\n8:0 rbps=7 wbps=max riops=max wiops=max\n';
    assert.equal(formerLine(write, text), '8:0 rbps=7 wbps=max riops=max wiops=max');
    assert.equal(formerLine(write, ''), '8:0 rbps=max wbps=max riops=max wiops=max');
    const v1 = { ...write, controller: 'blkio', file: 'blkio.throttle.read_bps_device' };
    assert.equal(formerLine(v1, '8:16 3\n'), '8:0 0');
  });
  it('lifts what is not limited any more', () => {
    const limit = (path: string, value: number) => ({ path, value });
    const lifted = liftedDevices(
      { deviceReadBps: [limit('/dev/sda', 5), limit('/dev/sdb', 6)] },
      { deviceReadBps: [limit('/dev/sdb', 7)] },
    );
    assert.deepEqual(lifted.deviceReadBps, [limit('/dev/sda', 0), limit('/dev/sdb', 7)]);
  });
  it('converts shares over their whole range', () => {
    assert.deepEqual([cpuWeight(2), cpuWeight(262144)], [1, 10000]);
  });
});

describe('figures', () => {
  it('reads flat files and passes over other lines', () => {
    assert.deepEqual(parseFlat('cache 5\nnonsense\nrss 7\n'), { cache: 5, rss: 7 });
  });
  it('sums I/O over devices in both versions', () => {
    assert.deepEqual(parseBlockIo('8:0 Read 5\n8:0 Write 6\n9:0 Read 1\nTotal 12\n'), {
      readBytes: 6,
      writeBytes: 6,
    });
    assert.deepEqual(parseBlockIo('8:0 rbytes=5 wbytes=6 rios=1\n9:0 rbytes=2 wbytes=1\n'), {
      readBytes: 7,
      writeBytes: 7,
    });
  });
});

describe('pressure', () => {
  const text =
    'some avg10=1.50 avg60=0.20 avg300=0.00 total=123\nfull avg10=0.00 avg60=0.00 avg300=0.00 total=7\n';
  it('is read with and without a line for all', () => {
    const some = { avg10: 1.5, avg60: 0.2, avg300: 0, totalUs: 123 };
    assert.deepEqual(parsePressure(text), { some, full: { avg10: 0, avg60: 0, avg300: 0, totalUs: 7 } });
    assert.deepEqual(parsePressure(text.split('\n')[0] ?? ''), { some });
  });
  it('is absent where the kernel says nothing', () => {
    assert.equal(parsePressure(''), undefined);
    assert.equal(
      toPressures(() => undefined),
      undefined,
    );
    assert.equal(readPressures('/nonexistent'), undefined);
  });
});

describe('limitCgroup', () => {
  /** A group of version 2 as files: what a kernel would make of them is not this test's matter. */
  async function group(t: TestContext, files: Record<string, string>) {
    const root = await mkdtemp(join(tmpdir(), 'berth-cgroup-'));
    t.after(() => rm(root, { recursive: true }));
    await mkdir(join(root, 'g'));
    for (const [name, text] of Object.entries(files)) await writeFile(join(root, 'g', name), text);
    const controllers = new Map(['memory', 'cpu', 'pids'].map((name) => [name, root]));
    const host = { version: 2 as const, controllers, hierarchies: [root] };
    return { host, read: (name: string) => readFile(join(root, 'g', name), 'utf8') };
  }

  it('undoes what it wrote when a later limit is refused', async (t) => {
    const { host, read } = await group(t, {
      'memory.max': 'max\n',
      'memory.current': '5',
      'pids.max': '7\n',
    });
    const wanted = { memoryBytes: 1000, cpusetCpus: '0', pidsLimit: 9 };
    await assert.rejects(limitCgroup('/g', wanted, host), { code: 'unsupported', message: /cpuset/ });
    assert.deepEqual([await read('memory.max'), await read('pids.max')], ['max', '7\n']);
  });

  it('never sets a limit of memory below what is in use', async (t) => {
    const { host, read } = await group(t, { 'memory.max': 'max\n', 'memory.current': '5000' });
    await assert.rejects(limitCgroup('/g', { memoryBytes: 1000 }, host), { code: 'conflict' });
    assert.deepEqual([await read('memory.max'), await read('memory.reclaim')], ['max\n', '4000']);
  });

  it('resolves to what undoes it', async (t) => {
    const { host, read } = await group(t, { 'pids.max': '7\n' });
    const undo = await limitCgroup('/g', { pidsLimit: 9 }, host);
    assert.equal(await read('pids.max'), '9');
    await undo();
    assert.equal(await read('pids.max'), '7');
  });
});
