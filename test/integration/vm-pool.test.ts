// Machines that wait become instances that nobody can tell from others, but for the time they take.

import assert from 'node:assert/strict';
import { fork } from 'node:child_process';
import { EventEmitter, once } from 'node:events';
import { existsSync } from 'node:fs';
import { readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { after, before, describe, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { type Config, DEFAULT_CONFIG, type Driver } from '../../src/core/index.ts';
import { createVmDriver } from '../../src/drivers/vm/index.ts';
import { cgroupPids, run, spawnStream } from '../../src/host/index.ts';
import { tarOf } from '../fixtures/tar.ts';
import {
  execToEnd,
  openVmLab,
  runToEnd,
  type SpecChange,
  textOf,
  type VmLab,
  vmPaths,
} from '../fixtures/vm.ts';

const POOL = { annotations: { 'berth.boot': 'pool' } };

async function figures(driver: Driver): Promise<{ waiting: number; hits: number; misses: number }> {
  const { facts } = await driver.probe();
  const [, waiting, hits, misses] =
    /^(\d+) waiting, (\d+) hits, (\d+) misses$/.exec(facts['pool'] ?? '') ?? [];
  return { waiting: Number(waiting), hits: Number(hits), misses: Number(misses) };
}

async function eventually(what: string, holds: () => Promise<boolean>): Promise<void> {
  for (let tries = 0; tries < 600; tries++) {
    if (await holds()) return;
    await delay(25);
  }
  assert.fail(what);
}

const folders = (lab: VmLab) => readdir(join(lab.cacheDir, 'pool')).catch(() => []);

describe('machines that wait', { timeout: 300_000 }, () => {
  let lab: VmLab;
  const waiting = () => eventually('a machine waits', async () => (await figures(lab.driver)).waiting > 0);
  before(async () => {
    lab = await openVmLab();
    // The first makes the template, the second what waits.
    for (const boot of ['fork', 'pool']) {
      const vm = await lab.create(['true'], { annotations: { 'berth.boot': boot } });
      await runToEnd(vm);
      await vm.remove();
    }
    await waiting();
  });
  after(async () => {
    await lab?.[Symbol.asyncDispose]();
  });

  /** Creates an instance that is to be one of those that wait. */
  const claim = async (args: readonly string[], change: SpecChange = {}) => {
    await waiting();
    return lab.create(args, { ...POOL, ...change });
  };

  test('each is someone of its own, at the right time', async () => {
    const script =
      'head -c 16 /dev/urandom | md5sum; cat /proc/sys/kernel/random/boot_id /dev/berth/fork-id; echo; hostname; date +%s';
    const seen: string[][] = [];
    const before = await figures(lab.driver);
    for (let n = 0; n < 4; n++) {
      const vm = await claim(['sh', '-c', script], { hostname: `guest-${n}` });
      const { stdout, code } = await runToEnd(vm);
      assert.equal(code, 0);
      const lines = stdout.trim().split('\n');
      assert.ok(Math.abs(Number(lines.pop()) - Date.now() / 1000) < 5);
      assert.equal(lines[3], `guest-${n}`);
      seen.push(lines);
      await vm.remove();
    }
    for (const column of [0, 1, 2, 3]) assert.equal(new Set(seen.map((lines) => lines[column])).size, 4);
    assert.equal((await figures(lab.driver)).hits, before.hits + 4);
  });

  test('it has the instance’s terminal, input, log, limits, user and cgroup', async () => {
    const vm = await claim(['sh', '-c', 'id -u; ulimit -n; cat; sleep 1000'], {
      process: { stdin: true, user: 'alice' },
      resources: { ulimits: [{ name: 'nofile', soft: 77, hard: 77 }], pidsLimit: 9 },
    });
    const io = await vm.attach({ stdin: true, stdout: true, stderr: true });
    await vm.start();
    io.input.end('typed\n');
    await eventually('it is logged', async () =>
      (await textOf(join(lab.root, 'workloads', vm.id, 'log.json')).catch(() => '')).includes('typed'),
    );
    assert.match(await textOf(join(lab.root, 'workloads', vm.id, 'log.json')), /1000\\n.*77\\n/s);
    const { pid } = await vm.state();
    assert.ok((await cgroupPids(`${lab.cgroup}/${vm.id}`)).includes(pid ?? 0));
    assert.equal((await vm.stats?.())?.pids.limit, 9);
    assert.equal((await execToEnd(vm, ['echo', 'more'])).stdout, 'more\n');
    // The next daemon finds it where it is now.
    const { spec } = await adoptable(vm.id);
    const next = await lab.nextDriver().adopt(spec);
    assert.equal((await next.state()).pid, pid);
    await vm.kill(9);
    assert.equal((await vm.wait()).code, 137);
    await vm.remove();
    assert.deepEqual(await readdir(join(lab.root, 'workloads', vm.id)), []);

    async function adoptable(id: string) {
      const like = await lab.spec(['true'], POOL);
      return {
        spec: { ...like, id, dir: join(lab.root, 'workloads', id), cgroupPath: `${lab.cgroup}/${id}` },
      };
    }
  });

  test('it goes in time with attachers who leave before the start', async () => {
    const vm = await claim(['echo', 'here']);
    const io = await vm.attach({ stdin: false, stdout: true, stderr: true });
    io.close();
    await io.exit.catch(() => {});
    const begun = Date.now();
    assert.equal((await runToEnd(vm)).stdout, 'here\n');
    assert.ok(Date.now() - begun < 15_000, `${Date.now() - begun} ms`);
    await vm.remove();
  });

  test('what was written before the start, or in an earlier run, is there', async () => {
    await waiting();
    const before = await figures(lab.driver);
    const vm = await lab.create(['sh', '-c', 'cat /tmp/given; echo again > /tmp/given'], POOL);
    const tar = tarOf([{ name: 'given', content: 'first\n' }]);
    await vm.files?.write('/tmp', Readable.from([tar]), { noOverwriteDirNonDir: false, copyUidGid: false });
    assert.equal((await runToEnd(vm)).stdout, 'first\n');
    assert.equal((await runToEnd(vm)).stdout, 'again\n');
    assert.equal((await figures(lab.driver)).hits, before.hits);
    await vm.remove();
    const fresh = await claim(['sh', '-c', 'cat /tmp/mine; echo mine > /tmp/mine']);
    assert.equal((await runToEnd(fresh)).code, 0);
    assert.equal((await runToEnd(fresh)).stdout, 'mine\n');
    assert.equal((await figures(lab.driver)).hits, before.hits + 1);
    await fresh.remove();
  });

  test('one that is killed while it waits is not missed', async () => {
    await waiting();
    for (const name of await folders(lab)) {
      const text = await readFile(join(lab.cacheDir, 'pool', name, 'shim.pid'), 'utf8').catch(() => '');
      if (text !== '') process.kill(Number(text.split(' ')[0]), 'SIGKILL');
    }
    const vm = await lab.create(['echo', 'here'], POOL);
    assert.equal((await runToEnd(vm)).stdout, 'here\n');
    await vm.remove();
    await waiting();
  });

  test('a command that cannot be executed fails as ever', async () => {
    const vm = await claim(['no-such-command']);
    await assert.rejects(vm.start(), { exitStatus: 127 });
    await vm.remove();
    assert.deepEqual(await readdir(join(lab.root, 'workloads', vm.id)), []);
  });

  /**
   * A driver of its own on the lab's caches, whose settings and news of the host's memory are the test's. It calls `looked`
   * when it asks how many may wait: whether one is to be made, also after each that was.
   */
  const ownDriver = (
    settings: Partial<Config>,
    pressureCommand: readonly [string, ...string[]],
    looked = () => {},
  ) =>
    createVmDriver({
      ...{ ...vmPaths, cacheDir: lab.cacheDir, kvmDevice: join(lab.root, 'no-kvm'), pressureCommand },
      config: () => ({
        ...{ ...DEFAULT_CONFIG, ...settings },
        get 'vm.pool.machines'() {
          looked();
          return settings['vm.pool.machines'] ?? DEFAULT_CONFIG['vm.pool.machines'];
        },
      }),
    });
  const useOnce = async (driver: Driver, annotations: Record<string, string>) => {
    const vm = await driver.create(await lab.spec(['true'], { annotations }));
    await runToEnd(vm);
    await vm.remove();
  };

  test('none waits where the user wants none, by number or by memory', async () => {
    const limits = { 'vm.pool.machines': 0, 'vm.pool.memory': 2 ** 30 };
    const looks = new EventEmitter();
    const driver = ownDriver(limits, ['sleep', '600'], () => looks.emit('look'));
    // It makes one after the other: what it made at the first look waits at the second.
    const useTwice = async () => {
      for (let uses = 0; uses < 2; uses++) {
        const look = once(looks, 'look');
        await useOnce(driver, POOL.annotations);
        await look;
      }
      assert.equal((await figures(driver)).waiting, 0);
    };
    await useOnce(driver, { 'berth.boot': 'fork' });
    await useTwice();
    // A change is heard at the next start.
    Object.assign(limits, { 'vm.pool.machines': 6, 'vm.pool.memory': 1 << 20 });
    await useTwice();
    Object.assign(limits, { 'vm.pool.memory': 2 ** 30 });
    await useOnce(driver, POOL.annotations);
    await eventually('a machine waits', async () => (await figures(driver)).waiting > 0);
    await driver.close?.();
  });

  test('all go when the host runs short of memory', async () => {
    const signal = join(lab.root, 'short');
    await run('mkfifo', [signal]);
    let looks = 0;
    const driver = ownDriver({}, ['sh', '-c', `cat ${signal}; exec sleep 600`], () => looks++);
    await useOnce(driver, { 'berth.boot': 'fork' });
    await useOnce(driver, POOL.annotations);
    await eventually('a machine waits', async () => (await figures(driver)).waiting > 0);
    await writeFile(signal, 'pressure\n');
    await eventually('none waits', async () => (await figures(driver)).waiting === 0);
    // Nor is another made while it does. Nothing tells that: it would look for what to make 150 ms after the start.
    const before = looks;
    await useOnce(driver, POOL.annotations);
    await delay(300);
    assert.equal(looks, before);
    assert.equal((await figures(driver)).waiting, 0);
    await driver.close?.();
  });

  test('the kernel is asked to tell of shortage, or it is said that it cannot', async () => {
    const watch = spawnStream(vmPaths.shimPath, ['pressure', join(lab.root, 'nothing')]);
    assert.equal((await watch.exit).code, 69);
    const real = spawnStream(vmPaths.shimPath, ['pressure']);
    real.stdin.end();
    // Without pressure it waits until its input ends; on a kernel that cannot tell it ends at once.
    assert.ok([0, 69].includes((await real.exit).code ?? -1));
  });

  test('none outlives a daemon that is killed', async () => {
    await using other = await openVmLab();
    const options = { ...vmPaths, cacheDir: other.cacheDir, kvmDevice: join(other.root, 'no-kvm') };
    const spec = await other.spec(['sleep', '1000'], { annotations: { 'berth.boot': 'fork' } });
    const program = join(import.meta.dirname, '../fixtures/vm-parent.ts');
    const second = await other.spec(['sleep', '1000'], POOL);
    const parent = fork(program, [JSON.stringify(options), JSON.stringify(spec), JSON.stringify(second)]);
    await eventually('a machine is made to wait', async () => {
      const [name = ''] = await folders(other);
      return name !== '' && existsSync(join(other.cacheDir, 'pool', name, 'shim.pid'));
    });
    parent.kill('SIGKILL');
    await once(parent, 'exit');
    await eventually('nothing of it runs', async () => {
      for (const entry of await readdir('/proc')) {
        const command = /^\d+$/.test(entry)
          ? await readFile(`/proc/${entry}/cmdline`, 'utf8').catch(() => '')
          : '';
        if (command.includes(`${other.cacheDir}/pool`)) return false;
      }
      return true;
    });
    for (const each of [spec, second]) {
      const vm = await other.nextDriver().adopt(each);
      assert.equal((await vm.state()).state, 'running');
      await vm.kill(9);
      await vm.wait();
      await vm.remove();
    }
  });
});
