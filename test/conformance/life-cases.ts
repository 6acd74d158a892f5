// Start, end, restart, signals and removal.

import assert from 'node:assert/strict';
import { access, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { BerthError, isBerthError } from '../../src/core/index.ts';
import { collect, until } from './fixture.ts';
import type { Case } from './instance-suite.ts';

const failsWith = (status: number) => (error: unknown) => {
  assert.ok(error instanceof BerthError, `${error}`);
  assert.equal(error.exitStatus, status, error.message);
  return true;
};

export const lifeCases: readonly Case[] = [
  [
    'reports the exit code and the output of each stream',
    async ({ bench, driver }) => {
      const { status, stdout, stderr } = await bench.run(driver, [
        'sh',
        '-c',
        'echo out; echo err >&2; exit 7',
      ]);
      assert.deepEqual([status.code, status.oomKilled, stdout, stderr], [7, false, 'out\n', 'err\n']);
      assert.ok(Math.abs(Date.parse(status.finishedAt) - Date.now()) < 60_000, status.finishedAt);
    },
  ],
  [
    'goes from created over running to exited',
    async ({ bench, driver }) => {
      const instance = await bench.create(driver, ['sh', '-c', 'read x'], { process: { stdin: true } });
      assert.deepEqual(await instance.state(), { state: 'created' });
      const io = await instance.attach({ stdin: true, stdout: true, stderr: true });
      await instance.start();
      const running = await instance.state();
      assert.equal(running.state, 'running');
      assert.ok((running.pid ?? 0) > 1);
      await assert.rejects(instance.start(), (error) => isBerthError(error, 'invalid-state'));
      io.input.end();
      await instance.wait();
      const exited = await instance.state();
      assert.equal(exited.state, 'exited');
      assert.equal(exited.startedAt, running.startedAt);
      assert.equal(exited.exit?.code, 1);
    },
  ],
  [
    'gives 128+n when signal n ended the process',
    async ({ bench, driver }) => {
      const instance = await bench.create(driver, ['sleep', '1000']);
      await instance.start();
      await instance.kill(9);
      assert.equal((await instance.wait()).code, 137);
    },
  ],
  [
    'delivers signals to the main process',
    async ({ bench, driver }) => {
      const instance = await bench.create(driver, [
        'sh',
        '-c',
        'trap "echo caught; exit 5" USR1; echo ready; while :; do sleep 0.1; done',
      ]);
      const io = await instance.attach({ stdin: false, stdout: true, stderr: true });
      const ready = until(io, (text) => text.includes('ready'));
      await instance.start();
      await ready;
      await instance.kill(10);
      assert.equal((await instance.wait()).code, 5);
    },
  ],
  [
    'refuses signals to what does not run',
    async ({ bench, driver }) => {
      const created = await bench.create(driver, ['true']);
      await assert.rejects(created.kill(15), (error) => isBerthError(error, 'invalid-state'));
      const { instance } = await bench.run(driver, ['true']);
      await assert.rejects(instance.kill(15), (error) => isBerthError(error, 'invalid-state'));
    },
  ],
  [
    'fails with 127 for a command that does not exist, by name or by path',
    async ({ bench, driver }) => {
      for (const command of ['no-such-command', '/bin/no-such-command']) {
        const instance = await bench.create(driver, [command]);
        await assert.rejects(instance.start(), failsWith(127));
        assert.equal((await instance.state()).state, 'created');
      }
    },
  ],
  [
    'fails with 126 for a command that is not executable',
    async ({ bench, driver }) => {
      const instance = await bench.create(driver, ['/bin/not-executable']);
      await assert.rejects(instance.start(), failsWith(126));
    },
  ],
  [
    'can be started again, and keeps what was written',
    async ({ bench, driver }) => {
      const instance = await bench.create(driver, ['sh', '-c', 'echo x >> /data/runs; wc -l < /data/runs']);
      for (const expected of ['1\n', '2\n', '3\n']) {
        const io = await instance.attach({ stdin: false, stdout: true, stderr: true });
        const output = collect(io);
        await instance.start();
        assert.equal((await instance.wait()).code, 0);
        assert.equal((await output).stdout.trim(), expected.trim());
      }
    },
  ],
  [
    'tells every waiter the same',
    async ({ bench, driver }) => {
      const instance = await bench.create(driver, ['sh', '-c', 'sleep 0.2; exit 3']);
      await instance.start();
      const all = await Promise.all([instance.wait(), instance.wait(), instance.wait()]);
      assert.deepEqual(
        all.map((status) => status.code),
        [3, 3, 3],
      );
      assert.equal((await instance.wait()).code, 3);
    },
  ],
  [
    'reaps orphans and forwards signals under init',
    async ({ bench, driver }) => {
      const script = 'trap "exit 9" TERM; (sleep 0.01 &) ; echo ready; while :; do sleep 0.1; done';
      const instance = await bench.create(driver, ['sh', '-c', script], { init: true });
      const io = await instance.attach({ stdin: false, stdout: true, stderr: true });
      const ready = until(io, (text) => text.includes('ready'));
      await instance.start();
      await ready;
      await instance.kill(15);
      assert.equal((await instance.wait()).code, 9);
    },
  ],
  [
    'removes all it made, and refuses to while it runs',
    async ({ bench, driver }) => {
      const spec = await bench.spec(['sleep', '1000']);
      const instance = bench.own(await driver.create(spec));
      await instance.start();
      await assert.rejects(instance.remove(), (error) => isBerthError(error, 'invalid-state'));
      await instance.kill(9);
      await instance.wait();
      await instance.remove();
      assert.deepEqual(await readdir(spec.dir), []);
    },
  ],
  [
    'leaves no trace when it is created and removed without a start',
    async ({ bench, driver }) => {
      const spec = await bench.spec(['true']);
      const instance = bench.own(await driver.create(spec));
      await instance.remove();
      assert.deepEqual(await readdir(spec.dir), []);
    },
  ],
  [
    'writes no log when there is to be none',
    async ({ bench, driver }) => {
      const spec = await bench.spec(['echo', 'hello'], { log: { driver: 'none', maxFiles: 1 } });
      const instance = bench.own(await driver.create(spec));
      await instance.start();
      await instance.wait();
      await assert.rejects(access(join(spec.dir, 'log.json')));
    },
  ],
];
