// A supervisor of a VM against a guest and a QEMU that break the protocol in every way: it ends the machine with a reason, or
// answers its clients; it never grows, and never waits for them.

import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { connectShim, readExit } from '../../src/guest/index.ts';
import { run } from '../../src/host/index.ts';
import {
  buildHostileMachine,
  type HostileMachine,
  MOST_BYTES,
  openHostile,
  RUNNING,
} from '../fixtures/hostile-machine.ts';
import { openVmLab, textOf, type VmLab } from '../fixtures/vm.ts';

const BROKEN = 'the guest broke the protocol and its machine was ended';
const QEMU_BROKEN = 'QEMU broke the protocol of its monitor and the machine was ended';

let lab: VmLab;
let program: string;

/** Asserts that a supervisor has ended and left no process, no socket and no large error file. */
async function assertEnded({ spec, client, shimPid }: HostileMachine): Promise<void> {
  await client.gone;
  assert.ok(!existsSync(join(spec.dir, 'shim.pid')));
  assert.ok(!existsSync(join(spec.dir, 'shim.sock')));
  const children = await textOf(`/proc/${shimPid}/task/${shimPid}/children`).catch(() => '');
  assert.equal(children, '');
  assert.ok((await stat(join(spec.dir, 'shim.err'))).size <= 70_000);
}

/** Starts it, and has what it says once it runs. */
async function started(steps: readonly string[]): Promise<HostileMachine> {
  const machine = await openHostile(lab, program, [...RUNNING, ...steps]);
  await machine.client.start({});
  return machine;
}

async function end(machine: HostileMachine): Promise<void> {
  const began = Date.now();
  await machine.client.signal(9);
  const status = await machine.client.exit;
  assert.equal(status.code, 137);
  assert.ok(Date.now() - began < 10_000, 'it was ended by our side');
  await assertEnded(machine);
}

/** Does the work for all items, a bounded number at once: each is a process or two that mostly waits. */
async function each<T>(items: readonly T[], work: (item: T) => Promise<void>): Promise<void> {
  const queue = [...items];
  const lane = async () => {
    for (let item = queue.shift(); item !== undefined; item = queue.shift()) await work(item);
  };
  await Promise.all(Array.from({ length: 4 }, lane));
}

/** The first error of all, with what it was about. */
const about = (name: string) => (cause: Error) => {
  throw new Error(`${name}: ${cause.message}`, { cause });
};

const BREACHES: Readonly<Record<string, readonly string[]>> = {
  'a frame larger than its window': ['frames:1:1:1:300000'],
  'a frame larger than any may be': ['link:^^^^^^^^'],
  'a window that grows beyond what was sent': ['frame:22:1:zzzz'],
  'a window of three bytes': ['frame:22:1:zzz'],
  'an exit code of 99999': ['frame:20:1:code=99999~'],
  'an exit code below 0': ['frame:20:1:code=-7~'],
  'an exit code that is no number': ['frame:20:1:code=x~'],
  'an exit without a code': ['frame:20:1:'],
  'an exit whose fields do not end': ['frame:20:1:code=3'],
  'a refusal of what runs': ['frame:21:1:code=internal~message=no~'],
  'a second start': ['frame:17:1:pid=1~'],
  'a type that is none, of the process': ['frame:99:1:'],
  'a type that is none, of the link': ['frame:99:0:'],
  'input for the host': ['frame:0:1:x'],
  'a request to the host': ['frame:16:1:op=exec~'],
  'output on the link itself': ['frame:1:0:x'],
  'a kill for want of memory with a text': ['frame:23:1:x'],
};

const EXEC_BREACHES: Readonly<Record<string, readonly string[]>> = {
  'an exit code below 0': ['frame:17:=:pid=7~', 'frame:20:=:code=-7~'],
  'a second begin': ['frame:17:=:pid=7~', 'frame:17:=:pid=7~'],
  'a window that grows': ['frame:17:=:pid=7~', 'frame:22:=:zzzz'],
  'a frame larger than its window': ['frame:17:=:pid=7~', 'frames:1:1:=:300000'],
  'fields that do not end': ['frame:17:=:pid=7'],
  'a type that is none': ['frame:77:=:'],
};

const EARLY: Readonly<Record<string, readonly [RegExp, readonly string[]]>> = {
  'says nothing': [/did not answer in time/, []],
  'says hello and no more': [/did not start its main process in time/, ['frame:17:0:']],
  'is configured and no more': [/main process in time/, ['frame:17:0:', 'await', 'await', 'frame:17:0:']],
  'has output before it is asked': [/broke the protocol/, ['frame:1:1:x']],
  'ends before it is asked': [/broke the protocol/, ['frame:20:1:code=0~']],
  'ends before it starts': [/broke the protocol/, ['frame:17:0:', 'await', 'await', 'frame:20:1:code=0~']],
  'tells of a kill before it starts': [/broke the protocol/, ['frame:23:1:']],
  'refuses with what is no code': [/^it \\x1b\[31mfailed$/, ['frame:21:0:code=^~message=it ^[31mfailed~']],
  'is a QEMU that ends': [/ended with status 3/, ['exit:3']],
};

const MONITORS: Readonly<Record<string, readonly string[]>> = {
  'a line without an end': ['qmp-flood:x'],
  'what is no JSON': ['qmp:{"return": {}'],
  'what is nested too deep': [`qmp:${'['.repeat(1000)}${']'.repeat(1000)}`],
  'a value that is no object': ['qmp:17'],
};

describe('a supervisor', { timeout: 120_000, concurrency: 3 }, () => {
  before(async () => {
    lab = await openVmLab();
    program = buildHostileMachine(lab);
  });
  after(async () => {
    await lab?.[Symbol.asyncDispose]();
  });

  test('ends a guest that breaks the protocol, with a record that says so', async () => {
    await each(Object.entries(BREACHES), async ([name, steps]) => {
      const machine = await started(steps).catch(about(name));
      const status = await machine.client.exit.catch(about(name));
      assert.deepEqual([status.code, status.reason, status.message], [255, 'monitor-died', BROKEN], name);
      assert.deepEqual((await readExit(machine.spec.dir))?.status, status, name);
      await assertEnded(machine);
    });
  });

  test('ends a guest that breaks the protocol of a client’s operation', async () => {
    await each(Object.entries(EXEC_BREACHES), async ([name, steps]) => {
      const machine = await started(['await', ...steps]);
      const connection = await connectShim(machine.spec.dir);
      await connection.request('exec', { arg: ['true'] }).catch(() => {});
      assert.equal((await machine.client.exit).message, BROKEN, name);
      connection.close();
      await assertEnded(machine);
    });
  });

  test('ends a start that cannot succeed, in time, with the reason', async () => {
    await each(Object.entries(EARLY), async ([name, [reason, steps]]) => {
      const machine = await openHostile(lab, program, steps);
      await assert.rejects(machine.client.start({}), { message: reason }, name);
      await assertEnded(machine);
    });
  });

  test('ends a QEMU that breaks the protocol of its monitor', async () => {
    await each(Object.entries(MONITORS), async ([name, steps]) => {
      const machine = await started(steps);
      const status = await machine.client.exit.catch(about(name));
      assert.deepEqual(
        [status.code, status.reason, status.message],
        [255, 'monitor-died', QEMU_BROKEN],
        name,
      );
      await assertEnded(machine);
    });
  });

  test('tells once a burst of kills for want of memory, however often the guest does', async () => {
    const began = Date.now();
    const machine = await started(['frames:50000:23:1:0', 'frame:20:1:code=3~']);
    let times = 0;
    machine.client.onOomKill(() => times++);
    const { code, oomKilled } = await machine.client.exit;
    const most = 2 + (Date.now() - began) / 1000;
    assert.deepEqual([code, oomKilled, times >= 1 && times <= most], [3, true, true], `${times} times`);
    await assertEnded(machine);
  });

  test('takes no more than was granted for clients that read slowly', async () => {
    // The guest floods as soon as the client is there, and keeps to the size of frames but to no window.
    const exec = await started(['await', 'frame:17:=:pid=7~', 'frames:2000:1:=:32768']);
    const slow = await connectShim(exec.spec.dir);
    await slow.request('exec', { arg: ['true'] });
    slow.hold();
    assert.equal((await exec.client.exit).message, BROKEN);
    slow.close();
    await assertEnded(exec);
    const main = await started(['await', 'frames:2000:1:1:32768']);
    const attached = await connectShim(main.spec.dir);
    await attached.request('attach', { stdout: true });
    attached.hold();
    const trigger = await connectShim(main.spec.dir);
    await trigger.request('stat', { path: '/' }).catch(() => {});
    assert.equal((await main.client.exit).message, BROKEN);
    attached.close();
    trigger.close();
    await assertEnded(main);
  });

  test('bounds what it keeps and goes on, whatever else a guest or QEMU sends', async () => {
    const floods = {
      'frames of operations that nobody asked for': ['frames:2000:1:999:32768'],
      'answers that nobody waits for': ['frames:20000:17:0:0'],
      'events of the monitor': ['qmp-lines:{"event": "MIGRATION", "data": {"status": "failed"}}'],
      'answers to commands that were not given': ['qmp-lines:{"return": {}, "id": 77}'],
      'a console that never ends': ['console-flood'],
      'complaints that never end': ['errors-flood'],
    };
    await each(Object.entries(floods), async ([name, steps]) => {
      // The guest's main process ends after the flood.
      const machine = await started([...steps, 'frame:20:1:code=7~']);
      const status = await machine.client.exit.catch(about(name));
      assert.deepEqual([status.code, status.reason], [7, undefined], name);
      assert.ok((await stat(join(machine.spec.dir, 'console.log'))).size <= 140_000, name);
      await assertEnded(machine);
    });
  });

  test('answers its clients in time when the guest does not, and kills it at their word', async () => {
    const machine = await started([]);
    const asked = ['exec', 'stat', 'read', 'stats', 'identity', 'changes', 'processes', 'pause'];
    await each(asked, async (op) => {
      const connection = await connectShim(machine.spec.dir);
      await assert.rejects(
        connection.request(op, { path: '/', arg: ['true'] }),
        { message: /did not answer within 1500 ms/ },
        op,
      );
      // The connection is of use again, and what needs no guest is answered.
      assert.equal((await connection.request('state')).get('state')?.[0], 'running');
      connection.close();
    });
    await machine.client.signal(15);
    await end(machine);
  });

  test('ends a QEMU that stands still, and a start that hangs, by signal 9', async () => {
    const machine = await started([]);
    process.kill(Number((await machine.client.state()).pid), 'SIGSTOP');
    await end(machine);
    const hanging = await openHostile(lab, program, ['frame:17:0:']);
    const start = assert.rejects(hanging.client.start({}), { message: /killed while it was being started/ });
    await hanging.client.signal(9);
    await start;
    await assertEnded(hanging);
  });

  test('that uses up its own memory says so, and the limit is its own alone', async () => {
    const machine = await started([]);
    const limits = await textOf(`/proc/${(await machine.client.state()).pid}/limits`);
    assert.match(limits, /^Max data size +unlimited/m);
    assert.match(
      await textOf(`/proc/${machine.shimPid}/limits`),
      new RegExp(`^Max data size +${MOST_BYTES} `, 'm'),
    );
    await run('prlimit', ['--pid', `${machine.shimPid}`, '--data=1:']);
    const connection = await connectShim(machine.spec.dir);
    await assert.rejects(connection.request('exec', { arg: ['x'.repeat(900_000)] }), { code: 'unavailable' });
    await machine.client.gone;
    const status = (await readExit(machine.spec.dir))?.status;
    assert.deepEqual(
      [status?.code, status?.reason, status?.message],
      [255, 'supervisor-died', 'the supervisor used up the memory it may have'],
    );
  });

  test('takes signals that there are, and no others', async () => {
    const machine = await started([]);
    for (const number of [0, -1, 65, 4096])
      await assert.rejects(machine.client.signal(number), { code: 'invalid-argument' });
    await end(machine);
  });

  test('shows texts from inside with their control characters visible', async () => {
    const machine = await started([
      'await',
      'frame:21:=:code=^[~status=99999~message=^[2J^]0;title^\\gone~',
      'qmp-await:stop',
      'qmp:{"error": {"class": "x", "desc": "\\u001b[31m no \\"error\\": {"}, "id": 2}',
      'console:^[31mKernel panic - not syncing: ^[2J gone',
    ]);
    const connection = await connectShim(machine.spec.dir);
    await assert.rejects(connection.request('exec', { arg: ['true'] }), {
      code: 'internal',
      message: '\\x1b[2J\\x1b]0;title\\x1b\\gone',
      exitStatus: undefined,
    });
    await assert.rejects(connection.request('pause'), {
      message: 'QEMU refused: \\x1b[31m no "error": {',
    });
    const status = await machine.client.exit;
    assert.deepEqual(
      [status.reason, status.message],
      ['guest-panic', 'Kernel panic - not syncing: \\x1b[2J gone'],
    );
    connection.close();
    await assertEnded(machine);
  });
});
