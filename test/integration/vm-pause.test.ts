// A pause, a checkpoint or an end that meets what a guest is asked.

import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { PassThrough } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { after, before, describe, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { BerthError, type Instance } from '../../src/core/index.ts';
import { connectShim } from '../../src/guest/index.ts';
import { execToEnd, openVmLab, sawOutput, textOf, type VmLab } from '../fixtures/vm.ts';

const NO_OPTIONS = { noOverwriteDirNonDir: false, copyUidGid: false };
const CONFLICT = { code: 'conflict', message: /is paused/ };
const BIG_BYTES = 4 << 20;
/** Far less than any limit that a guest is given. */
const AT_ONCE_MS = 10_000;

describe('a machine that is paused', { timeout: 300_000 }, () => {
  let lab: VmLab;
  before(async () => {
    lab = await openVmLab();
  });
  after(async () => {
    await lab?.[Symbol.asyncDispose]();
  });

  const begin = async (args: readonly string[]) => {
    const vm = await lab.create(args);
    await vm.start();
    return vm;
  };
  const filesOf = ({ files }: Instance) => files ?? assert.fail();
  /** Without what the driver asks before a pause. */
  const pauseNow = async (vm: Instance) => {
    const connection = await connectShim(join(lab.root, 'workloads', vm.id));
    await connection.request('pause');
    connection.close();
  };
  const soon = async <T>(work: Promise<T>): Promise<T> => {
    const begun = Date.now();
    const [result] = await Promise.allSettled([work]);
    assert.ok(Date.now() - begun < AT_ONCE_MS, `${Date.now() - begun} ms`);
    return result.status === 'fulfilled' ? result.value : Promise.reject(result.reason);
  };
  const makeBig = async (vm: Instance) => {
    const script = `head -c ${BIG_BYTES} /dev/urandom > /big; sha256sum /big`;
    return (await execToEnd(vm, ['sh', '-c', script])).stdout.slice(0, 64);
  };
  /** Of the file in a tar of it alone. */
  const sumIn = (tar: Buffer) =>
    createHash('sha256')
      .update(tar.subarray(512, 512 + BIG_BYTES))
      .digest('hex');

  test('ends what its guest has not answered as a conflict, at once', async () => {
    const vm = await begin(['sleep', '1000']);
    const dir = join(lab.root, 'workloads', vm.id);
    let refused = 0;
    for (const op of ['stat', 'read', 'changes', 'processes', 'stats', 'identity', 'exec']) {
      const asking = await Promise.all(Array.from({ length: 8 }, () => connectShim(dir)));
      const asked = asking.map((connection) => connection.request(op, { path: '/etc', arg: ['true'] }));
      const [answers] = await soon(Promise.all([Promise.allSettled(asked), pauseNow(vm)]));
      const refusals = answers.flatMap((answer) => (answer.status === 'rejected' ? [answer.reason] : []));
      for (const refusal of refusals) {
        assert.ok(refusal instanceof BerthError);
        assert.deepEqual([refusal.code, /is paused/.test(refusal.message)], ['conflict', true], op);
      }
      refused += refusals.length;
      for (const connection of asking) connection.close();
      const control = await connectShim(dir);
      await control.request('resume');
      control.close();
    }
    assert.ok(refused > 0, 'some were not answered before the pause');
    assert.equal((await execToEnd(vm, ['echo', 'on'])).stdout, 'on\n');
  });

  test('ends copies in and out that are under way, and lets processes go on when it does', async () => {
    const vm = await begin(['sleep', '1000']);
    await makeBig(vm);
    const running = await vm.exec?.run({
      ...{ args: ['sh', '-c', 'echo ready; read x; echo $x'], env: ['PATH=/bin'], cwd: '/', user: '' },
      ...{ additionalGroups: [], tty: false, stdin: true, privileged: false },
    });
    assert.ok(running);
    await sawOutput(running, 'ready');
    const out = await filesOf(vm).read('/big');
    const broken = once(out, 'error').then(([error]) => Promise.reject(error));
    broken.catch(() => {});
    const archive = new PassThrough();
    const copied = filesOf(vm).write('/tmp', archive, NO_OPTIONS);
    const into = assert.rejects(soon(copied), CONFLICT);
    await vm.pausing?.pause();
    await into;
    out.resume();
    await assert.rejects(soon(broken), CONFLICT);
    await assert.rejects(soon(filesOf(vm).stat('/big')), CONFLICT);
    running.input.write('on\n');
    await vm.pausing?.resume();
    await sawOutput(running, 'on');
    assert.equal((await filesOf(vm).stat('/big')).sizeBytes, BIG_BYTES);
  });

  test('lets copies go on that a checkpoint meets', async () => {
    const vm = await begin(['sleep', '1000']);
    const sum = await makeBig(vm);
    const out = await filesOf(vm).read('/big');
    const whole = await buffer(await filesOf(vm).read('/big'));
    const archive = new PassThrough();
    const copied = filesOf(vm).write('/tmp', archive, NO_OPTIONS);
    await new Promise((resolve) => archive.write(whole.subarray(0, BIG_BYTES / 2), resolve));
    const dir = join(lab.root, 'checkpoint');
    await mkdir(dir);
    const stats = async () => {
      for (let i = 0; i < 20; i++) await filesOf(vm).stat('/big');
    };
    await Promise.all([vm.checkpointing?.save(dir), stats()]);
    await vm.checkpointing?.capture(lab.root).then((origin) => origin[Symbol.asyncDispose]());
    archive.end(whole.subarray(BIG_BYTES / 2));
    assert.equal(sumIn(await buffer(out)), sum);
    await copied;
    assert.equal((await execToEnd(vm, ['sha256sum', '/tmp/big'])).stdout.slice(0, 64), sum);
  });

  test('shuts down in time when its workload has ended meanwhile', async () => {
    const vm = await begin(['sleep', '1']);
    const dir = join(lab.root, 'workloads', vm.id);
    const connection = await connectShim(dir);
    const shim = Number((await textOf(join(dir, 'shim.pid'))).split(' ')[0]);
    process.kill(shim, 'SIGSTOP');
    const paused = connection.request('pause').catch(() => {});
    // Nobody but the shim could tell that the workload has ended.
    await delay(3000);
    process.kill(shim, 'SIGCONT');
    await soon(vm.wait());
    await soon(paused);
    await soon(filesOf(vm).stat('/etc'));
    connection.close();
  });

  test('takes no more processes when its workload ends, and says so', async () => {
    const vm = await lab.create(['sh', '-c', 'for i in $(seq 60); do sleep 1000 & done; echo ready; wait']);
    const io = await vm.attach({ stdin: false, stdout: true, stderr: true });
    await vm.start();
    await sawOutput(io, 'ready');
    io.output.resume();
    const execs: Promise<unknown>[] = [];
    const end = vm.kill(9);
    for (let i = 0; i < 40; i++) execs.push(execToEnd(vm, ['true']));
    const results = await Promise.allSettled(execs);
    await end;
    for (const result of results)
      if (result.status === 'rejected')
        assert.match((result.reason as BerthError).code, /^(invalid-state|unavailable)$/, `${result.reason}`);
    assert.equal((await vm.wait()).code, 137);
  });
});
