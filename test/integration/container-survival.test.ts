// Containers outlive the daemon that started them, whatever it was doing when it was killed.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, watch } from 'node:fs';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import type { InstanceSpec } from '../../src/core/index.ts';
import { run } from '../../src/host/process.ts';
import { type Lab, openLab, SHIM_PATH } from '../fixtures/container.ts';

const DAEMON = fileURLToPath(new URL('../fixtures/container-daemon.ts', import.meta.url));

async function startDaemon(lab: Lab, specs: readonly InstanceSpec[]) {
  const file = join(lab.bench.root, 'specs.json');
  await writeFile(file, JSON.stringify(specs));
  const stdio = ['ignore', 'pipe', 'inherit'] as const;
  const child = spawn(process.execPath, [DAEMON, SHIM_PATH, join(lab.bench.root, 'state'), file], {
    stdio: [...stdio],
  });
  return { child, started: once(child.stdout, 'data') };
}

const logOf = async (spec: InstanceSpec) =>
  (await readFile(join(spec.dir, 'log.json'), 'utf8'))
    .trim()
    .split('\n')
    .map((line) => (JSON.parse(line) as { log: string }).log);

describe('containers of a daemon that is killed', () => {
  it('run on, log everything and tell their exit code to the next one', async () => {
    await using lab = await openLab();
    const count = 'i=0; while [ $i -lt 40 ]; do i=$((i+1)); echo line $i; sleep 0.02; done; exit 11';
    const specs = [await lab.bench.spec(['sh', '-c', count]), await lab.bench.spec(['sleep', '1000'])];
    const [counting, sleeping] = specs as [InstanceSpec, InstanceSpec];
    const { child, started } = await startDaemon(lab, specs);
    await started;
    child.kill('SIGKILL');
    await once(child, 'exit');
    const driver = lab.nextDriver();
    const adopted = lab.bench.own(await driver.adopt(counting));
    assert.equal((await adopted.wait()).code, 11);
    assert.deepEqual(
      await logOf(counting),
      Array.from({ length: 40 }, (_, number) => `line ${number + 1}\n`),
    );
    const other = lab.bench.own(await driver.adopt(sleeping));
    assert.equal((await other.state()).state, 'running');
    await other.kill(9);
    assert.equal((await other.wait()).code, 137);
    await adopted.remove();
    await other.remove();
    assert.deepEqual(lab.leftovers(), []);
  });

  it('end while nobody looks, and the next one knows how', async () => {
    await using lab = await openLab();
    const spec = await lab.bench.spec(['sh', '-c', 'sleep 0.3; echo bye; exit 12']);
    const { child, started } = await startDaemon(lab, [spec]);
    await started;
    const ended = waitForRemoval(join(spec.dir, 'shim.pid'), spec.dir);
    child.kill('SIGKILL');
    await ended;
    const adopted = lab.bench.own(await lab.nextDriver().adopt(spec));
    const { state, exit } = await adopted.state();
    assert.deepEqual([state, exit?.code], ['exited', 12]);
    assert.deepEqual(await logOf(spec), ['bye\n']);
    await adopted.remove();
    assert.deepEqual(lab.leftovers(), []);
  });

  it('are either there or not when it is killed at any moment of starting them', async () => {
    await using lab = await openLab();
    for (let delay = 0; delay < 8; delay++) {
      const specs = await Promise.all(Array.from({ length: 4 }, () => lab.bench.spec(['sleep', '1000'])));
      const { child, started } = await startDaemon(lab, specs);
      await Promise.race([started, new Promise((resolve) => setTimeout(resolve, 150 + delay * 40))]);
      child.kill('SIGKILL');
      await once(child, 'exit');
      const driver = lab.nextDriver();
      for (const spec of specs) {
        const adopted = lab.bench.own(await driver.adopt(spec));
        const { state } = await adopted.state();
        assert.ok(['created', 'running', 'exited'].includes(state), state);
        if (state !== 'running') await adopted.start();
        await adopted.kill(9);
        assert.equal((await adopted.wait()).code, 137);
        await adopted.remove();
      }
      assert.deepEqual(lab.leftovers(), []);
    }
  });

  it('are joined, or begun anew, by a daemon that comes while they start', async () => {
    await using lab = await openLab();
    for (let run = 0; run < 6; run++) {
      const spec = await lab.bench.spec(['sleep', '1000']);
      const shimIsThere = waitFor(spec.dir, () => existsSync(join(spec.dir, 'shim.pid')));
      const starting = (await lab.driver.create(spec)).start();
      starting.catch(() => {});
      await shimIsThere;
      const adopted = lab.bench.own(await lab.nextDriver().adopt(spec));
      await starting.catch(() => {});
      if ((await adopted.state()).state !== 'running') await adopted.start();
      await adopted.kill(9);
      assert.equal((await adopted.wait()).code, 137);
      await adopted.remove();
    }
    assert.deepEqual(lab.leftovers(), []);
  });

  it('tell how they ended even when they have filled the disk', async () => {
    await using lab = await openLab();
    const folder = join(lab.bench.root, 'workloads');
    await mkdir(folder);
    await run('mount', ['-t', 'tmpfs', '-o', 'size=4m', 'tmpfs', folder]);
    try {
      const spec = await lab.bench.spec([
        'sh',
        '-c',
        'dd if=/dev/zero of=/data/fill bs=64k; echo lost; exit 13',
      ]);
      const instance = lab.bench.own(await lab.driver.create(spec));
      await instance.start();
      assert.equal((await instance.wait()).code, 13);
      const adopted = await lab.nextDriver().adopt(spec);
      assert.equal((await adopted.state()).exit?.code, 13);
      await instance.remove();
      lab.bench.disown(instance);
    } finally {
      await run('umount', ['--lazy', folder]);
    }
  });

  it('survive the signals that end a daemon’s unit', async () => {
    await using lab = await openLab();
    const spec = await lab.bench.spec(['sleep', '1000']);
    const instance = lab.bench.own(await lab.driver.create(spec));
    await instance.start();
    const shim = Number((await readFile(join(spec.dir, 'shim.pid'), 'utf8')).split(' ')[0]);
    for (const signal of ['SIGTERM', 'SIGHUP', 'SIGINT', 'SIGPIPE'] as const) process.kill(shim, signal);
    assert.equal((await instance.state()).state, 'running');
    const exec = await instance.exec?.run({ ...spec.process, args: ['true'] });
    assert.equal((await exec?.exit)?.code, 0);
  });
});

async function waitForRemoval(path: string, folder: string): Promise<void> {
  await waitFor(folder, () => !existsSync(path));
}

async function waitFor(folder: string, condition: () => boolean): Promise<void> {
  await new Promise<void>((resolve) => {
    const watcher = watch(folder, look);
    function look() {
      if (!condition()) return;
      watcher.close();
      resolve();
    }
    look();
  });
}
