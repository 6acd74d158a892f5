// What the next daemon finds.

import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { collect, until } from './fixture.ts';
import type { Case } from './instance-suite.ts';

export const adoptionCases: readonly Case[] = [
  [
    'is found running, with its pid, its streams and its end',
    async ({ bench, driver, fixture }) => {
      const spec = await bench.spec(['sh', '-c', 'echo ready; read x; echo got $x; exit 8'], {
        process: { stdin: true },
      });
      const before = bench.own(await driver.create(spec));
      const io = await before.attach({ stdin: true, stdout: true, stderr: true });
      const ready = until(io, (text) => text.includes('ready'));
      await before.start();
      await ready;
      const { pid, startedAt } = await before.state();
      const next = await fixture.makeDriver(bench.root);
      const adopted = bench.own(await next.adopt(spec));
      assert.deepEqual(await adopted.state(), { state: 'running', pid, startedAt });
      const again = await adopted.attach({ stdin: true, stdout: true, stderr: true });
      const output = collect(again);
      again.input.write('word\n');
      assert.equal((await adopted.wait()).code, 8);
      assert.equal((await output).stdout, 'got word\n');
      assert.equal((await before.wait()).code, 8);
      const log = await readFile(join(spec.dir, 'log.json'), 'utf8');
      assert.match(log, /ready[\s\S]*got word/);
    },
  ],
  [
    'is found exited, with its exit status',
    async ({ bench, driver, fixture }) => {
      const spec = await bench.spec(['sh', '-c', 'exit 9']);
      const before = bench.own(await driver.create(spec));
      await before.start();
      const status = await before.wait();
      const next = await fixture.makeDriver(bench.root);
      const adopted = bench.own(await next.adopt(spec));
      const found = await adopted.state();
      assert.equal(found.state, 'exited');
      assert.deepEqual(found.exit, status);
      await adopted.start();
      assert.equal((await adopted.wait()).code, 9);
    },
  ],
  [
    'is found as created when it was never started',
    async ({ bench, driver, fixture }) => {
      const spec = await bench.spec(['sh', '-c', 'exit 2']);
      bench.own(await driver.create(spec));
      const next = await fixture.makeDriver(bench.root);
      const adopted = bench.own(await next.adopt(spec));
      assert.equal((await adopted.state()).state, 'created');
      await adopted.start();
      assert.equal((await adopted.wait()).code, 2);
    },
  ],
  [
    'is cleaned up and reported when its supervisor was killed',
    async ({ bench, driver, fixture }) => {
      const spec = await bench.spec(['sleep', '1000']);
      const before = bench.own(await driver.create(spec));
      await before.start();
      const supervisor = Number((await readFile(join(spec.dir, 'shim.pid'), 'utf8')).split(' ')[0]);
      const gone = before.wait();
      process.kill(supervisor, 'SIGKILL');
      assert.equal((await gone).reason, 'supervisor-died');
      const next = await fixture.makeDriver(bench.root);
      const adopted = bench.own(await next.adopt(spec));
      const { state, exit } = await adopted.state();
      assert.deepEqual([state, exit?.code, exit?.reason], ['exited', 255, 'supervisor-died']);
      await adopted.remove();
    },
  ],
];
