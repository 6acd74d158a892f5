// Life of a VM with a real guest: what the workload sees, says and ends with.

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { collect, execToEnd, openVmLab, runToEnd, sawOutput, textOf, type VmLab } from '../fixtures/vm.ts';

const ALL = { stdin: true, stdout: true, stderr: true };

describe('a workload in a VM', { timeout: 300_000 }, () => {
  let lab: VmLab;
  before(async () => {
    lab = await openVmLab();
  });
  after(async () => {
    await lab?.[Symbol.asyncDispose]();
  });

  test('gets its output, its input, its exit code and process id 1', async () => {
    const vm = await lab.create(['sh', '-c', 'cat; echo $$; echo oops >&2; exit 7'], {
      process: { stdin: true },
    });
    const { stdout, stderr, code, oomKilled } = await runToEnd(vm, 'from outside\n');
    assert.equal(stdout, 'from outside\n1\n');
    assert.equal(stderr, 'oops\n');
    assert.equal(code, 7);
    assert.equal(oomKilled, false);
    assert.equal((await vm.state()).state, 'exited');
  });

  test('runs as its user, in its folder, with its environment, limits and names', async () => {
    const script =
      'id -u; id -g; id -G; pwd; echo $HOME; hostname; echo $X; ulimit -n; cat /etc/hostname; cat /proc/sys/kernel/msgmax';
    const vm = await lab.create(['sh', '-c', script], {
      hostname: 'borealis',
      sysctls: { 'kernel.msgmax': '1234' },
      process: { user: 'alice', cwd: '/srv/new', env: ['PATH=/bin', 'X=y z'] },
      resources: { ulimits: [{ name: 'nofile', soft: 123, hard: 456 }] },
    });
    const { stdout } = await runToEnd(vm);
    const expected = [
      '1000',
      '1000',
      '50 1000',
      '/srv/new',
      '/home/alice',
      'borealis',
      'y z',
      '123',
      'borealis',
      '1234',
    ];
    const lines = stdout.trim().split('\n');
    assert.deepEqual(lines[2]?.split(' ').sort(), ['1000', '50']);
    assert.deepEqual(lines.toSpliced(2, 1), expected.toSpliced(2, 1));
  });

  test('fails with 127 for a missing and 126 for a useless command, and leaves nothing running', async () => {
    for (const [command, status, text] of [
      ['nosuch', 127, 'executable file not found in $PATH'],
      ['/no/such', 127, 'no such file or directory'],
      ['/etc/passwd', 126, 'permission denied'],
      ['/etc', 126, 'is a directory'],
    ] as const) {
      const vm = await lab.create([command]);
      await assert.rejects(vm.start(), (error: { exitStatus?: number; message: string }) => {
        assert.equal(error.exitStatus, status, command);
        assert.match(error.message, new RegExp(text.replace('$', '\\$')));
        return true;
      });
      assert.equal((await vm.state()).state, 'created');
    }
  });

  test('keeps its writable layer and starts again', async () => {
    const vm = await lab.create(['sh', '-c', 'echo run >> /runs; wc -l < /runs']);
    assert.equal((await runToEnd(vm)).stdout, '1\n');
    assert.equal((await runToEnd(vm)).stdout, '2\n');
    const changes = await vm.files?.changes();
    assert.deepEqual(changes, [{ kind: 1, path: '/runs' }]);
  });

  test('takes signals, ends with 128 and the signal, and runs further processes', async () => {
    const vm = await lab.create(['sleep', '1000']);
    await vm.start();
    const inside = await execToEnd(vm, ['sh', '-c', 'ps -o pid,args | grep -c sleep; echo err >&2; exit 5']);
    assert.equal(inside.code, 5);
    assert.equal(inside.stderr, 'err\n');
    assert.ok(inside.pid > 1);
    await assert.rejects(execToEnd(vm, ['nosuch']), { exitStatus: 127 });
    await assert.rejects(execToEnd(vm, ['/etc/passwd']), { exitStatus: 126 });
    assert.equal((await execToEnd(vm, ['id', '-un'], { user: 'alice' })).stdout, 'alice\n');
    const table = await vm.processes?.([]);
    assert.ok(
      table?.rows.some((row) => row[1] === '1' && row.at(-1) === 'sleep 1000'),
      JSON.stringify(table),
    );
    // Process 1 without a handler ignores what is not SIGKILL, as in a container.
    await vm.kill(9);
    assert.equal((await vm.wait()).code, 137);
    await assert.rejects(vm.kill(15), { code: 'invalid-state' });
  });

  test('with --init is process 2 and ends at SIGTERM', async () => {
    const vm = await lab.create(['sh', '-c', 'echo ready $$; exec sleep 1000'], { init: true });
    const io = await vm.attach(ALL);
    await vm.start();
    assert.match(await sawOutput(io, 'ready'), /ready 2/);
    await vm.kill(15);
    assert.equal((await vm.wait()).code, 143);
  });

  test('has a terminal of the asked size that can be resized', async () => {
    const vm = await lab.create(['sh', '-c', 'tty; stty size; read line; stty size; echo got $line'], {
      process: { tty: true, stdin: true },
    });
    const io = await vm.attach(ALL);
    await vm.start({ size: { rows: 33, columns: 111 } });
    await sawOutput(io, '33 111');
    await vm.resize({ rows: 44, columns: 99 });
    io.input.write('hello\n');
    const { stdout } = await collect(io, true);
    assert.match(stdout, /44 99\r\ngot hello/);
    assert.equal((await vm.wait()).code, 0);
  });

  test('passes megabytes through in both directions unharmed', async () => {
    const vm = await lab.create(['sh', '-c', 'cat | sha256sum; head -c 3000000 /dev/zero | tr "\\0" x'], {
      process: { stdin: true },
    });
    const { stdout } = await runToEnd(vm, 'y'.repeat(3_000_000));
    const { createHash } = await import('node:crypto');
    assert.equal(stdout.slice(0, 64), createHash('sha256').update('y'.repeat(3_000_000)).digest('hex'));
    assert.equal(stdout.length, 68 + 3_000_000);
  });

  test('can be paused and resumed, and killed while paused', async () => {
    const vm = await lab.create(['sh', '-c', 'while :; do echo tick; sleep 0.1; done']);
    await vm.start();
    await vm.pausing?.pause();
    assert.equal((await vm.state()).state, 'paused');
    await assert.rejects(execToEnd(vm, ['true']), { code: 'conflict' });
    const held = await vm.stats?.();
    assert.ok((held?.memory.usageBytes ?? 0) > 0);
    // A clock that is not set when it goes on is behind by this, and more than a second can be told.
    await new Promise((resolve) => setTimeout(resolve, 1500));
    const resumed = Math.floor(Date.now() / 1000);
    await vm.pausing?.resume();
    const { stdout } = await execToEnd(vm, ['date', '+%s']);
    assert.ok(
      Number(stdout) >= resumed && Number(stdout) <= Date.now() / 1000,
      'its clock was set when it went on',
    );
    await vm.pausing?.pause();
    await vm.kill(9);
    assert.equal((await vm.wait()).code, 137);
  });

  test('is reported as out of memory when its kernel had to kill it', async () => {
    const vm = await lab.create(['dd', 'if=/dev/zero', 'of=/dev/null', 'bs=300M', 'count=1'], {
      resources: { memoryBytes: 128 << 20 },
    });
    const { code, oomKilled } = await runToEnd(vm);
    assert.equal(oomKilled, true);
    assert.notEqual(code, 0);
  });

  test('shows figures of its guest, and CPU time that grows', async () => {
    const vm = await lab.create(['sleep', '1000']);
    await vm.start();
    const first = await vm.stats?.();
    await execToEnd(vm, ['sh', '-c', 'i=0; while [ $i -lt 20000 ]; do i=$((i+1)); done']);
    const second = await vm.stats?.();
    assert.ok((second?.cpu.totalNs ?? 0) > (first?.cpu.totalNs ?? 0));
    assert.equal(first?.memory.limitBytes, 256 << 20);
    assert.ok((first?.memory.usageBytes ?? 0) > 0);
    assert.equal(first?.pids.current, 1);
  });

  test('writes its log as Docker does', async () => {
    const vm = await lab.create(['sh', '-c', 'echo one; echo two >&2']);
    const spec = { dir: '' };
    await runToEnd(vm);
    spec.dir = `${lab.root}/workloads/${vm.id}`;
    const lines = (await textOf(`${spec.dir}/log.json`))
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as Record<string, string>);
    assert.deepEqual(lines.map(({ log, stream }) => [log, stream]).sort(), [
      ['one\n', 'stdout'],
      ['two\n', 'stderr'],
    ]);
  });
});
