// The control group of a container's supervisor: it alone stands there, what is written at a client's word counts elsewhere, and
// a client that makes it keep more than it may have ends it and nobody else.

import assert from 'node:assert/strict';
import { createReadStream, existsSync } from 'node:fs';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { after, before, describe, it } from 'node:test';
import { cgroupHost, run } from '../../src/host/index.ts';
import { until } from '../conformance/fixture.ts';
import { type Lab, openLab } from '../fixtures/container.ts';
import {
  alive,
  entered,
  groupOf,
  left,
  limitFile,
  lower,
  onDisk,
  overfill,
  pidOf,
} from '../fixtures/supervisor-group.ts';

const LIMIT_BYTES = 320 << 20;
/** Three times the limit that `lower` sets. */
const LARGE_BYTES = 48 << 20;

/** A tar archive with one file, which has no holes. */
async function largeArchive(root: string): Promise<Readable> {
  await writeFile(join(root, 'large'), Buffer.alloc(LARGE_BYTES, 'x'));
  await run('tar', ['-cf', join(root, 'large.tar'), '-C', root, 'large']);
  return createReadStream(join(root, 'large.tar'));
}

describe('the supervisor of a container', { timeout: 120_000 }, () => {
  let lab: Lab;
  let disk: AsyncDisposable;
  before(async () => {
    lab = await openLab();
    disk = await onDisk(join(lab.bench.root, 'workloads'));
  });
  after(async () => {
    await lab.bench[Symbol.asyncDispose]();
    await disk[Symbol.asyncDispose]();
    await lab[Symbol.asyncDispose]();
  });

  const started = async (args: readonly string[], change = {}) => {
    const spec = await lab.bench.spec(args, change);
    const instance = lab.bench.own(await lab.driver.create(spec));
    await instance.start();
    return { spec, instance };
  };

  it('stands alone in a group with a limit, which goes with it', async () => {
    const { spec, instance } = await started(['sleep', '1000']);
    const pid = await entered(spec);
    const file = (name: string) => readFile(join(groupOf(spec), name), 'utf8');
    assert.equal(Number(await file(limitFile)), LIMIT_BYTES);
    if (cgroupHost().version === 2) assert.equal((await file('pids.max')).trim(), '64');
    const { exec } = instance;
    assert.ok(exec);
    const io = await exec.run({ ...spec.process, args: ['sleep', '1000'] });
    assert.equal((await file('cgroup.procs')).trim(), `${pid}`);
    await instance.kill(9);
    await instance.wait();
    await io.exit;
    await instance.remove();
    assert.ok(!existsSync(groupOf(spec)));
  });

  it('leaves no group when nobody looks', async () => {
    const { spec, instance } = await started(['sleep', '1000']);
    await entered(spec);
    const { pid } = await instance.state();
    instance.release?.();
    process.kill(pid ?? 0, 'SIGKILL');
    await left(spec);
  });

  it('has no group where files are memory, as its log would count there', async () => {
    await using own = await openLab();
    const folder = join(own.bench.root, 'workloads');
    await mkdir(folder);
    await run('mount', ['-t', 'tmpfs', 'tmpfs', folder]);
    try {
      const spec = await own.bench.spec(['true']);
      const instance = own.bench.own(await own.driver.create(spec));
      await instance.start();
      assert.equal((await instance.wait()).code, 0);
      assert.ok(!existsSync(groupOf(spec)));
    } finally {
      await run('umount', ['--lazy', folder]);
    }
  });

  it('leaves no group when it is killed', async () => {
    const { spec, instance } = await started(['sleep', '1000']);
    process.kill(await entered(spec), 'SIGKILL');
    assert.equal((await instance.wait()).reason, 'supervisor-died');
    assert.ok(!existsSync(groupOf(spec)));
  });

  it('does not pay for what is copied into a tmpfs', async () => {
    const mounts = [{ type: 'tmpfs', target: '/m', readonly: false, options: [] }];
    const { spec, instance } = await started(['sleep', '1000'], { mounts });
    await lower(spec);
    const archive = await largeArchive(lab.bench.root);
    await instance.files?.write('/m', archive, { noOverwriteDirNonDir: false, copyUidGid: false });
    assert.equal((await instance.files?.stat('/m/large'))?.sizeBytes, LARGE_BYTES);
    await alive(spec, instance);
  });

  it('hands a stream on to whoever reads slowly', async () => {
    const { spec, instance } = await started(['sleep', '1000']);
    await lower(spec);
    const { exec } = instance;
    assert.ok(exec);
    const command = ['sh', '-c', 'sleep 1; wc -c'];
    const io = await exec.run({ ...spec.process, stdin: true, args: command });
    const counted = until(io, (output) => output.includes(`${LARGE_BYTES}`));
    Readable.from(blocks()).pipe(io.input);
    await counted;
    await alive(spec, instance);
  });

  it('ends at its limit, with its container and no other, and not for want of the container’s memory', async () => {
    const other = await started(['sleep', '1000']);
    const { spec, instance } = await started(['sleep', '1000']);
    await lower(spec);
    await overfill(spec);
    const { reason, oomKilled } = await instance.wait();
    assert.deepEqual([reason, oomKilled], ['supervisor-died', false]);
    assert.ok(!existsSync(groupOf(spec)));
    await alive(other.spec, other.instance);
    await instance.start();
    await entered(spec);
    await alive(spec, instance);
  });

  it('that used up its memory and said so leaves no process of its container', async () => {
    const { spec, instance } = await started(['sleep', '1000']);
    const { pid } = await instance.state();
    await run('prlimit', ['--pid', `${await pidOf(spec)}`, '--data=1:']);
    await overfill(spec);
    assert.equal((await instance.wait()).message, 'the supervisor used up the memory it may have');
    assert.ok(!existsSync(`/proc/${pid}`));
    assert.ok(!existsSync(groupOf(spec)));
  });
});

function* blocks() {
  const block = Buffer.alloc(1 << 20);
  for (let sent = 0; sent < LARGE_BYTES; sent += block.length) yield block;
}
