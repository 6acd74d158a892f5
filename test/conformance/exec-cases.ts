// More processes in a running instance, and what processes see.

import assert from 'node:assert/strict';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { BerthError, type Instance, isBerthError, type ProcessSpec } from '../../src/core/index.ts';
import { tarOf } from '../fixtures/tar.ts';
import { collect, until, type Workbench } from './fixture.ts';
import type { Case } from './instance-suite.ts';

const PROCESS: ProcessSpec = {
  args: [],
  env: ['PATH=/bin:/usr/bin'],
  cwd: '/',
  user: '',
  additionalGroups: [],
  tty: false,
  stdin: false,
  privileged: false,
};

/** The size of a further process's terminal may come a moment after its start, as with Docker. */
const SIZES = 'until stty size 2>/dev/null | grep "21 55"; do sleep 0.01; done; read x; stty size';

function exec(instance: Instance, args: readonly string[], change: Partial<ProcessSpec> = {}) {
  assert.ok(instance.exec, 'this isolation runs further processes');
  return instance.exec.run({ ...PROCESS, ...change, args });
}

export async function output(instance: Instance, args: readonly string[], change: Partial<ProcessSpec> = {}) {
  const process = await exec(instance, args, change);
  const streams = await collect(process, change.tty ?? false);
  return { ...streams, code: (await process.exit).code };
}

/** A layer whose user `far`, and the groups with it, stand behind more than 600,000 bytes of others. */
async function crowdedLayer(root: string): Promise<string> {
  const layer = join(root, 'crowd');
  await mkdir(join(layer, 'etc'), { recursive: true });
  const names = Array.from({ length: 20_000 }, (_, number) => `user${number}`);
  const accounts = names.map((name, number) => `${name}:x:${10_000 + number}:100::/:/bin/sh\n`).join('');
  const groups = names.map((name, number) => `${name}:x:${40_000 + number}:one,two\n`).join('');
  assert.ok(accounts.length > 600_000 && groups.length > 500_000);
  await writeFile(
    join(layer, 'etc/passwd'),
    `root:x:0:0::/root:/bin/sh\n${accounts}far:x:4242:4243::/far:/bin/sh`,
  );
  await writeFile(
    join(layer, 'etc/group'),
    `root:x:0:\n${groups}all:x:77:${names.join(',')},far\nrear:x:78:\n`,
  );
  return layer;
}

async function crowded(bench: Workbench) {
  return {
    rootfs: {
      imageId: `sha256:${'c'.repeat(64)}`,
      layers: [...bench.layers, await crowdedLayer(bench.root)],
    },
  };
}

export const execCases: readonly Case[] = [
  [
    'runs with the environment, folder and user asked for',
    async ({ bench, driver }) => {
      const process = { env: ['PATH=/bin', 'COLOR=blue'], cwd: '/new/folder', user: 'ada' };
      const { stdout } = await bench.run(
        driver,
        ['sh', '-c', 'echo $COLOR $HOME; pwd; id -u; id -g; id -G | tr " " "\n" | sort | tr "\n" " "'],
        { process },
      );
      assert.deepEqual(stdout.split('\n'), ['blue /home/ada', '/new/folder', '1000', '1000', '10 1000 ']);
    },
  ],
  [
    'takes users and groups by number and name',
    async ({ bench, driver }) => {
      const { stdout } = await bench.run(driver, ['id'], {
        process: { user: '4000:wheel', additionalGroups: ['77'] },
      });
      assert.match(stdout, /uid=4000 gid=10\(wheel\) groups=10\(wheel\),77/);
    },
  ],
  [
    'refuses a user that the image does not have',
    async ({ bench, driver }) => {
      const instance = await bench.create(driver, ['true'], { process: { user: 'nobody-here' } });
      const io = await instance.attach({ stdin: false, stdout: true, stderr: true });
      const output = collect(io);
      for (let tries = 0; tries < 2; tries++) await assert.rejects(instance.start(), /nobody-here/);
      assert.deepEqual(await output, { stdout: '', stderr: '' });
      assert.equal((await instance.state()).state, 'created');
    },
  ],
  [
    'finds users and groups however many others stand before them',
    async ({ bench, driver }) => {
      const whoAmI = ['sh', '-c', 'echo $(id -u) $(id -g) $(id -G | tr " " "\n" | sort -n) $HOME'];
      const image = await crowded(bench);
      const first = await bench.run(driver, whoAmI, { ...image, process: { user: 'far' } });
      assert.equal(first.stdout, '4242 4243 77 4243 /far\n');
      const second = await bench.run(driver, whoAmI, {
        ...image,
        process: { user: '4242:rear', additionalGroups: ['all', 'user19999'] },
      });
      assert.equal(second.stdout, '4242 78 77 78 59999 /far\n');
      const box = await bench.create(driver, ['sleep', '1000'], { ...image, process: { user: 'far:all' } });
      const entry = Readable.from([tarOf([{ name: 'mine', content: 'x' }])]);
      await box.files?.write('/tmp', entry, { copyUidGid: true, noOverwriteDirNonDir: false });
      await box.start();
      const further = await output(box, whoAmI, { user: 'far', env: ['PATH=/bin'] });
      assert.equal(further.stdout, '4242 4243 77 4243 /far\n');
      assert.equal((await output(box, ['stat', '-c', '%u:%g', '/tmp/mine'])).stdout, '4242:77\n');
      await assert.rejects(exec(box, ['true'], { user: 'farther' }), /unable to find user farther/);
    },
  ],
  [
    'has its host name',
    async ({ bench, driver }) => {
      const { stdout } = await bench.run(driver, ['sh', '-c', 'hostname; cat /etc/hostname'], {
        hostname: 'harbour',
      });
      assert.equal(stdout, 'harbour\nharbour\n');
    },
  ],
  [
    'runs further processes with their own output and exit code',
    async ({ bench, driver }) => {
      const instance = await bench.create(driver, ['sleep', '1000']);
      await instance.start();
      const done = await output(instance, ['sh', '-c', 'echo out; echo err >&2; exit 6']);
      assert.deepEqual(done, { stdout: 'out\n', stderr: 'err\n', code: 6 });
      const user = await output(instance, ['sh', '-c', 'id -un; pwd; echo $X'], {
        user: 'ada',
        cwd: '/tmp',
        env: ['PATH=/bin', 'X=1'],
      });
      assert.equal(user.stdout, 'ada\n/tmp\n1\n');
      const written = await output(instance, ['sh', '-c', 'echo here > /tmp/mine; [ / -ef /proc/1/root ]']);
      assert.equal(written.code, 0, 'the root is the main process’s');
      assert.equal((await instance.files?.stat('/tmp/mine'))?.name, 'mine');
    },
  ],
  [
    'gives further processes stdin and a terminal',
    async ({ bench, driver }) => {
      const instance = await bench.create(driver, ['sleep', '1000']);
      await instance.start();
      const cat = await exec(instance, ['cat'], { stdin: true });
      const copied = collect(cat);
      cat.input.end('typed\n');
      assert.equal((await copied).stdout, 'typed\n');
      assert.ok(instance.exec);
      const shell = await instance.exec.run(
        { ...PROCESS, args: ['sh', '-c', SIZES], tty: true, stdin: true },
        { rows: 21, columns: 55 },
      );
      // It listens first: the other one takes what is there at once.
      const sized = until(shell, (text) => text.includes('21 55'));
      const all = collect(shell, true);
      await sized;
      await shell.resize({ rows: 30, columns: 60 });
      shell.input.write('x\n');
      assert.match((await all).stdout, /30 60/);
    },
  ],
  [
    'fails with 127 and 126 for commands that cannot be executed, and goes on',
    async ({ bench, driver }) => {
      const instance = await bench.create(driver, ['sleep', '1000']);
      await instance.start();
      for (const [command, status] of [
        ['no-such-command', 127],
        ['/bin/not-executable', 126],
      ] as const)
        await assert.rejects(exec(instance, [command]), (error) => {
          assert.ok(error instanceof BerthError);
          assert.equal(error.exitStatus, status, error.message);
          return true;
        });
      assert.equal((await output(instance, ['true'])).code, 0);
    },
  ],
  [
    'kills a further process alone',
    async ({ bench, driver }) => {
      const instance = await bench.create(driver, ['sleep', '1000']);
      await instance.start();
      const sleep = await exec(instance, ['sleep', '1000']);
      assert.ok(sleep.pid > 0);
      await sleep.kill(9);
      assert.equal((await sleep.exit).code, 137);
      assert.equal((await instance.state()).state, 'running');
    },
  ],
  [
    'ends further processes with the main one',
    async ({ bench, driver }) => {
      const instance = await bench.create(driver, ['sleep', '1000']);
      await instance.start();
      const sleep = await exec(instance, ['sleep', '1000']);
      await instance.kill(9);
      await instance.wait();
      assert.equal((await sleep.exit).code, 137);
    },
  ],
  [
    'refuses further processes in what does not run',
    async ({ bench, driver }) => {
      const instance = await bench.create(driver, ['true']);
      await assert.rejects(exec(instance, ['true']), (error) => isBerthError(error, 'invalid-state'));
    },
  ],
  [
    'serves many processes at a time',
    async ({ bench, driver }) => {
      const instance = await bench.create(driver, ['sleep', '1000']);
      await instance.start();
      const all = await Promise.all(
        Array.from({ length: 10 }, (_, number) =>
          output(instance, ['sh', '-c', `echo ${number}; exit ${number}`]),
        ),
      );
      assert.deepEqual(
        all.map(({ stdout, code }) => [stdout, code]),
        Array.from({ length: 10 }, (_, number) => [`${number}\n`, number]),
      );
    },
  ],
];
