// A running VM is captured and goes on; what is restored from it is a machine of its own that goes on where it was.

import assert from 'node:assert/strict';
import { mkdir, open as openFile, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import type { Instance, InstanceSpec, Origin } from '../../src/core/index.ts';
import { run } from '../../src/host/index.ts';
import { execToEnd, openVmLab, type SpecChange, sawOutput, type VmLab } from '../fixtures/vm.ts';

const COUNTER =
  'i=0; while :; do i=$((i+1)); echo $i > /next; mv /next /count; echo tick $i; sleep 0.05; done';

describe('running state of a VM', { timeout: 300_000 }, () => {
  let lab: VmLab;
  let number = 0;
  before(async () => {
    lab = await openVmLab();
    await writeFile(join(lab.root, 'layer/etc/machine-id'), `${'0'.repeat(32)}\n`);
  });
  after(async () => {
    await lab?.[Symbol.asyncDispose]();
  });

  const folder = async () => {
    const path = join(lab.root, 'captured', `${++number}`);
    await mkdir(path, { recursive: true });
    return path;
  };

  const begin = async (args: readonly string[], change: SpecChange = {}) => {
    const vm = await lab.create(args, change);
    await vm.start();
    return vm;
  };

  /** One that counts, and has begun to. */
  const counting = async (change: SpecChange = {}) => {
    const vm = await lab.create(['sh', '-c', COUNTER], change);
    const io = await vm.attach({ stdin: false, stdout: true, stderr: true });
    await vm.start();
    await sawOutput(io, 'tick 2');
    io.close();
    return vm;
  };

  const end = async (...vms: Instance[]) => {
    for (const vm of vms) {
      await vm.kill(9);
      await vm.wait();
      await vm.remove();
    }
  };

  const checkpointing = (vm: Instance) => {
    assert.ok(vm.checkpointing, 'a VM can be captured');
    return vm.checkpointing;
  };

  const restore = async (
    origin: Origin,
    change: SpecChange = {},
  ): Promise<{ vm: Instance; spec: InstanceSpec }> => {
    assert.ok(lab.driver.restore);
    const spec = await lab.spec(['sleep', '1000'], change);
    const vm = await lab.driver.restore(spec, origin);
    await vm.start();
    return { vm, spec };
  };

  const said = async (vm: Instance, ...args: string[]) => (await execToEnd(vm, args)).stdout.trim();

  for (const boot of ['cold', 'fork'])
    test(`copies of one that came up by ${boot} go on where it was, and it goes on too`, async () => {
      const source = await counting({ annotations: { 'berth.boot': boot } });
      await said(source, 'sh', '-c', 'echo kept > /kept; echo kept > /dev/shm/kept');
      const origin = await checkpointing(source).capture(await folder());
      const before = Number(await said(source, 'cat', '/count'));
      const copies = await Promise.all([0, 1, 2].map((n) => restore(origin, { hostname: `copy-${n}` })));
      await origin[Symbol.asyncDispose]();
      for (const [n, { vm }] of copies.entries()) {
        assert.equal(await said(vm, 'cat', '/kept', '/dev/shm/kept'), 'kept\nkept');
        assert.equal(await said(vm, 'hostname'), `copy-${n}`);
        const count = Number(await said(vm, 'cat', '/count'));
        assert.ok(count > 0 && count <= before + 200, `${count} from about ${before}`);
        const io = await vm.attach({ stdin: false, stdout: true, stderr: true });
        await sawOutput(io, 'tick');
        io.close();
      }
      assert.ok(Number(await said(source, 'cat', '/count')) >= before);
      assert.ok((origin.pauseMs ?? Number.NaN) < 1000, `it stood still for ${origin.pauseMs} ms`);
      await end(source, ...copies.map(({ vm }) => vm));
    });

  test('a copy is someone else before its processes go on, but what they hold is kept', async () => {
    // A connection within the guest, too.
    const connect =
      'mkfifo /say; sleep 1000 | nc -l -p 7 > /heard & sleep 1; nc 127.0.0.1 7 < /say & exec 3> /say';
    const react =
      'hostname; date +%s; echo "over $x" >&3; for i in 1 2 3 4 5; do grep over /heard && break; sleep 1; done; echo done';
    const source = await lab.create(['sh', '-c', `${connect}; echo up; read x; ${react}; cat`], {
      process: { stdin: true },
    });
    const early = await source.attach({ stdin: true, stdout: true, stderr: true });
    await source.start();
    await sawOutput(early, 'up');
    early.close();
    const identity = [
      'sh',
      '-c',
      'cat /etc/machine-id /dev/berth/fork-id; echo; hostname; head -c 16 /dev/urandom | md5sum',
    ];
    const first = await said(source, ...identity);
    const origin = await checkpointing(source).capture(await folder());
    const copies = await Promise.all(
      [0, 1].map((n) => restore(origin, { hostname: `other-${n}`, process: { stdin: true } })),
    );
    await origin[Symbol.asyncDispose]();
    const seen = [first, ...(await Promise.all(copies.map(({ vm }) => said(vm, ...identity))))].map((text) =>
      text.split('\n'),
    );
    for (const line of [0, 1, 2, 3])
      assert.equal(new Set(seen.map((lines) => lines[line])).size, 3, `line ${line}`);
    for (const [n, { vm }] of copies.entries()) {
      const io = await vm.attach({ stdin: true, stdout: true, stderr: true });
      io.input.write(`line ${n}\n`);
      const output = await sawOutput(io, 'done');
      assert.match(output, new RegExp(`over line ${n}`));
      assert.match(output, new RegExp(`other-${n}`));
      const time = Number(/\b(\d{10})\b/.exec(output)?.[1]);
      assert.ok(Math.abs(time - Date.now() / 1000) < 10, `its clock says ${time}`);
      io.close();
    }
    await end(source, ...copies.map(({ vm }) => vm));
  });

  test('processes begun by exec end in a copy and go on in the source', async () => {
    const source = await begin(['sleep', '1000']);
    assert.ok(source.exec);
    const process = { ...{ args: ['cat'], env: ['PATH=/bin'], cwd: '/', user: '', additionalGroups: [] } };
    const cat = await source.exec.run({ ...process, tty: false, stdin: true, privileged: false });
    const origin = await checkpointing(source).capture(await folder());
    const { vm } = await restore(origin);
    await origin[Symbol.asyncDispose]();
    assert.doesNotMatch(await said(vm, 'ps'), /\bcat$/m);
    cat.input.end('still here');
    assert.match((await sawOutput(cat, 'still here')).toString(), /still here/);
    assert.equal((await cat.exit).code, 0);
    await end(source, vm);
  });

  test('disk and memory are of one moment, whatever is being written', async () => {
    const writer =
      'i=0; while :; do i=$((i+1)); echo $i > /dev/shm/n; dd if=/dev/zero of=/big bs=64k count=8 seek=$i 2>/dev/null; echo $i > /n; done';
    const source = await begin(['sh', '-c', writer]);
    const origin = await checkpointing(source).capture(await folder());
    const { vm } = await restore(origin);
    await origin[Symbol.asyncDispose]();
    await vm.kill(9);
    await vm.wait();
    // What its kernel had not written yet was in its memory and is written now; the journal finds nothing wrong.
    await vm.start();
    const [memory, disk] = [
      await said(vm, 'cat', '/n'),
      await said(vm, 'sh', '-c', 'dmesg | grep -ci "ext4.*error"; true'),
    ];
    assert.ok(Number(memory) >= 0, memory);
    assert.equal(disk, '0');
    await end(source, vm);
  });

  test('what is saved can be restored when its source is gone, any number of times', async () => {
    const source = await counting({ resources: { memoryBytes: 128 << 20, cpus: 2 } });
    const dir = await folder();
    const { pauseMs, sizeBytes } = await checkpointing(source).save(dir);
    assert.ok(pauseMs > 0 && pauseMs < 1000, `${pauseMs} ms`);
    assert.ok(sizeBytes > 10 << 20 && sizeBytes < 200 << 20, `${sizeBytes} bytes`);
    const before = Number(await said(source, 'cat', '/count'));
    await end(source);
    assert.ok(lab.driver.openCheckpoint);
    for (const round of [1, 2]) {
      const origin = await lab.driver.openCheckpoint(dir);
      const { vm } = await restore(origin, { resources: { memoryBytes: 128 << 20, cpus: 2 } });
      await origin[Symbol.asyncDispose]();
      const count = Number(await said(vm, 'cat', '/count'));
      assert.ok(count > 0 && count < before + 100, `round ${round}: ${count}`);
      assert.equal(await said(vm, 'nproc'), '2');
      await end(vm);
    }
    assert.deepEqual((await readdir(join(lab.cacheDir, 'keepers'))).length, 0);
  });

  test('a saved state that is cut off, altered or from elsewhere is refused by name, and restores when mended', async () => {
    const source = await begin(['sleep', '1000']);
    const dir = await folder();
    await checkpointing(source).save(dir);
    await end(source);
    const open = async () => {
      assert.ok(lab.driver.openCheckpoint);
      await using _origin = await lab.driver.openCheckpoint(dir);
    };
    for (const part of ['memory', 'state', 'disk.ext4']) {
      const path = join(dir, part);
      const name = part.split('.')[0] ?? '';
      const file = await openFile(path, 'r+');
      const { size } = await file.stat();
      const at = await firstData(path);
      const byte = Buffer.alloc(1);
      await file.read(byte, 0, 1, at);
      await file.write(Buffer.from([(byte[0] ?? 0) ^ 1]), 0, 1, at);
      await assert.rejects(open(), {
        code: 'unavailable',
        message: new RegExp(`${name}.*checksum is wrong`),
      });
      await file.write(byte, 0, 1, at);
      const tail = Buffer.alloc(4096);
      await file.read(tail, 0, tail.length, size - tail.length);
      await file.truncate(size - tail.length);
      await assert.rejects(open(), { code: 'unavailable', message: new RegExp(`${name}.*another size`) });
      await file.truncate(size);
      // What was cut off is zeros now, which only the state did not end with.
      if (part === 'state') await assert.rejects(open(), { message: /state.*checksum/ });
      await file.write(tail, 0, tail.length, size - tail.length);
      await file.close();
      await open();
    }
    const description = await readFile(join(dir, 'checkpoint.json'), 'utf8');
    await writeFile(
      join(dir, 'checkpoint.json'),
      description.replace('QEMU emulator version', 'QEMU emulator version 1'),
    );
    await assert.rejects(open(), {
      code: 'unavailable',
      message: /made with QEMU emulator version 1.*here is/,
    });
    await writeFile(join(dir, 'checkpoint.json'), description.slice(9));
    await assert.rejects(open(), { code: 'unavailable', message: /damaged/ });
    await writeFile(join(dir, 'checkpoint.json'), description);
    await rename(join(dir, 'parts'), join(dir, 'elsewhere'));
    await assert.rejects(open(), { code: 'unavailable', message: /parts is missing/ });
    await rename(join(dir, 'elsewhere'), join(dir, 'parts'));
    await open();
    const other = { ...(JSON.parse(description) as object), image: 'that of another disk' };
    await writeFile(join(dir, 'checkpoint.json'), JSON.stringify(other));
    {
      await using origin = await lab.driver.openCheckpoint?.(dir);
      assert.ok(origin);
      await assert.rejects(restore(origin), { code: 'unavailable', message: /image has been made anew/ });
    }
    await rm(join(dir, 'checkpoint.json'));
    await assert.rejects(open(), { code: 'unavailable', message: /missing/ });
  });

  test('a disk that fills up is an error, the machine goes on, and it can be captured when there is room', async () => {
    const source = await counting();
    const small = await folder();
    await run('mount', ['-t', 'tmpfs', '-o', 'size=24m', 'none', small]);
    try {
      await mkdir(join(small, 'state'));
      await assert.rejects(checkpointing(source).save(join(small, 'state')), {
        code: 'exhausted',
        message: /No space left/,
      });
    } finally {
      await run('umount', [small]);
    }
    const before = Number(await said(source, 'cat', '/count'));
    const dir = await folder();
    await checkpointing(source).save(dir);
    assert.ok(Number(await said(source, 'cat', '/count')) >= before);
    await end(source);
  });

  test('what cannot be captured is refused with the reason: shared folders, a paused machine, two at once', async () => {
    const data = join(lab.root, 'shared');
    await mkdir(data);
    const shares = await begin(['sleep', '1000'], {
      mounts: [{ type: 'bind', source: data, target: '/data', readonly: false, propagation: 'rprivate' }],
    });
    await assert.rejects(checkpointing(shares).save(await folder()), {
      code: 'unsupported',
      message: /shares \/data/,
    });
    const vm = await begin(['sleep', '1000']);
    await vm.pausing?.pause();
    await assert.rejects(checkpointing(vm).save(await folder()), { code: 'conflict', message: /paused/ });
    await vm.pausing?.resume();
    const both = await Promise.allSettled([
      checkpointing(vm).save(await folder()),
      checkpointing(vm).save(await folder()),
    ]);
    assert.deepEqual(both.map(({ status }) => status).sort(), ['fulfilled', 'rejected']);
    await end(shares, vm);
    await assert.rejects(checkpointing(vm).save(await folder()), { code: 'invalid-state' });
  });

  test('a machine that dies while it is captured is told as such, and so is the capture', async () => {
    const source = await begin(['sleep', '1000']);
    const { pid = 0 } = await source.state();
    const captured = checkpointing(source).save(await folder());
    process.kill(pid, 'SIGKILL');
    await assert.rejects(captured);
    assert.equal((await source.wait()).reason, 'monitor-died');
    await source.remove();
  });
});

/** Where the first byte of the file is that is not in a hole; an ext4 disk begins with 1 KiB of zeros. */
async function firstData(path: string): Promise<number> {
  const file = await openFile(path, 'r');
  try {
    const chunk = Buffer.alloc(1 << 20);
    for (let at = 0; ; at += chunk.length) {
      const { bytesRead } = await file.read(chunk, 0, chunk.length, at);
      const found = chunk.subarray(0, bytesRead).findIndex((byte) => byte !== 0);
      if (found >= 0 || bytesRead === 0) return at + Math.max(0, found);
    }
  } finally {
    await file.close();
  }
}
