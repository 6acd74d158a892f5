// Forks of a template are machines of their own: nothing that should be unique is shared, and nothing that one of them
// does reaches the template or another. A template that is not whole is noticed, and nobody has to wait for another.

import assert from 'node:assert/strict';
import { fork } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { createReadStream } from 'node:fs';
import { chmod, open, readdir, readFile, readlink, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import type { Instance } from '../../src/core/index.ts';
import { createVmDriver } from '../../src/drivers/vm/index.ts';
import { execToEnd, openVmLab, runToEnd, type SpecChange, type VmLab, vmPaths } from '../fixtures/vm.ts';

const FORK = { annotations: { 'berth.boot': 'fork' } };

/** The folders of all templates that are kept. */
async function templatesOf(lab: VmLab): Promise<string[]> {
  const folder = join(lab.cacheDir, 'templates');
  const names = await readdir(folder).catch(() => []);
  return names.map((name) => join(folder, name));
}

async function onlyTemplate(lab: VmLab): Promise<string> {
  const [folder, ...more] = await templatesOf(lab);
  assert.ok(folder !== undefined && more.length === 0, 'there is one template');
  return folder;
}

async function digest(path: string): Promise<string> {
  const hash = createHash('sha256');
  for await (const chunk of createReadStream(path)) hash.update(chunk as Buffer);
  return hash.digest('hex');
}

const digests = async (template: string) =>
  Promise.all(['memory', 'state'].map((name) => digest(join(template, name))));

async function counts(lab: VmLab): Promise<{ forked: number; booted: number; failure: string | undefined }> {
  const { facts } = await lab.driver.probe();
  const [, forked, booted] = /^(\d+) forked, (\d+) booted$/.exec(facts['starts'] ?? '') ?? [];
  return { forked: Number(forked), booted: Number(booted), failure: facts['templateFailure'] };
}

async function isAlive(pid: number): Promise<boolean> {
  const text = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => '');
  return text !== '' && !text.includes(') Z ');
}

/** Neither has an event that a process which is not the parent could wait for. */
async function eventually(what: string, holds: () => Promise<boolean>): Promise<void> {
  for (let tries = 0; tries < 1200; tries++) {
    if (await holds()) return;
    await delay(25);
  }
  assert.fail(what);
}

/** Supervisors of templates; a machine ends with its own. */
async function keepers(lab: VmLab): Promise<number[]> {
  const found: number[] = [];
  for (const entry of await readdir('/proc')) {
    if (!/^\d+$/.test(entry)) continue;
    const command = await readFile(`/proc/${entry}/cmdline`, 'utf8').catch(() => '');
    if (command.includes(join(lab.cacheDir, 'templates'))) found.push(Number(entry));
  }
  return found;
}

describe('forks of a template', { timeout: 600_000 }, () => {
  let lab: VmLab;
  before(async () => {
    lab = await openVmLab();
  });
  after(async () => {
    await lab?.[Symbol.asyncDispose]();
  });

  const run = async (args: readonly string[], change: SpecChange = FORK) => {
    const vm = await lab.create(args, change);
    const outcome = await runToEnd(vm);
    await vm.remove();
    return outcome;
  };

  test('twenty forks share no random bytes, machine id, boot id or fork id, and know the time', async () => {
    await writeFile(join(lab.root, 'layer/etc/machine-id'), `${'0'.repeat(32)}\n`);
    const script = [
      'head -c 32 /dev/urandom | md5sum; cat /proc/sys/kernel/random/uuid',
      'cat /etc/machine-id /proc/sys/kernel/random/boot_id /dev/berth/fork-id; echo; hostname; date +%s',
    ].join('; ');
    const seen: string[][] = [];
    for (let batch = 0; batch < 5; batch++) {
      const outcomes = await Promise.all(
        [0, 1, 2, 3].map((n) => run(['sh', '-c', script], { ...FORK, hostname: `guest-${batch}-${n}` })),
      );
      for (const { code, stdout, stderr } of outcomes) {
        assert.equal(code, 0, stderr);
        const lines = stdout.trim().split('\n');
        const now = Number(lines.pop());
        assert.ok(Math.abs(now - Date.now() / 1000) < 30, `the guest's clock says ${now}`);
        seen.push(lines);
      }
    }
    assert.equal(seen.length, 20);
    const [first = []] = seen;
    assert.equal(first.length, 6);
    assert.match(first[2] ?? '', /^[0-9a-f]{32}$/);
    assert.match(first[4] ?? '', /^[0-9a-f]{32}$/);
    for (const column of first.keys())
      assert.equal(new Set(seen.map((lines) => lines[column])).size, 20, `column ${column}`);
    const { forked, booted } = await counts(lab);
    assert.deepEqual([forked, booted], [20, 0]);
  });

  test('a fork that fills its memory changes neither the template nor a sibling', async () => {
    const sibling = await lab.create(['sleep', '1000'], FORK);
    await sibling.start();
    const template = await onlyTemplate(lab);
    const before = await digests(template);
    const fill = 'dd if=/dev/urandom of=/dev/shm/a bs=1M count=60 2>/dev/null; rm /dev/shm/a; echo filled';
    assert.equal((await run(['sh', '-c', fill])).stdout, 'filled\n');
    // Giving memory back is what would reach the file behind it; here the kernel is made to free all it can.
    const free = 'echo 3 > /proc/sys/vm/drop_caches; echo 1 > /proc/sys/vm/compact_memory; echo freed';
    const privileged = { ...FORK, security: { privileged: true }, process: { privileged: true } };
    assert.equal((await run(['sh', '-c', free], privileged)).stdout, 'freed\n');
    assert.deepEqual(await digests(template), before);
    assert.equal((await execToEnd(sibling, ['echo', 'well'])).stdout, 'well\n');
    await sibling.kill(9);
    await sibling.wait();
    await sibling.remove();
  });

  test('nobody can write to the memory of a template, or take pages out of it', async () => {
    const file = await open(join(await onlyTemplate(lab), 'memory'), 'r+');
    try {
      await assert.rejects(file.write(Buffer.alloc(4096), 0, 4096, 0), { code: 'EPERM' });
      await assert.rejects(file.truncate(4096), { code: 'EPERM' });
    } finally {
      await file.close();
    }
  });

  test('a template whose state is cut off or has a bit turned is replaced, and the start boots instead', async () => {
    const damages: [string, (state: Buffer) => Buffer, RegExp][] = [
      ['cut off', (state) => state.subarray(0, state.length >> 1), /state has \d+ bytes instead of \d+/],
      ['a bit turned', (state) => state.with(5000, (state[5000] ?? 0) ^ 4) as Buffer, /checksum is wrong/],
    ];
    for (const [name, damage, said] of damages) {
      await run(['true']);
      const template = await onlyTemplate(lab);
      const path = join(template, 'state');
      const state = await readFile(path);
      await rm(path);
      await writeFile(path, damage(state));
      const before = await counts(lab);
      const outcome = await run(['echo', 'here'], { annotations: {} });
      assert.deepEqual([outcome.code, outcome.stdout], [0, 'here\n'], name);
      const after = await counts(lab);
      assert.equal(after.booted, before.booted + 1, name);
      assert.match(after.failure ?? '', said);
      // The next one forks again, from a new template.
      assert.equal((await run(['true'])).code, 0);
      assert.equal((await counts(lab)).forked, before.forked + 1);
      assert.notEqual(await onlyTemplate(lab), template);
    }
  });

  test('a template that no machine can be restored from is found out, too', async () => {
    await run(['true']);
    const template = await onlyTemplate(lab);
    const pid = Number((await readFile(join(template, 'shim.pid'), 'utf8')).split(' ')[0]);
    // Memory of the right size that is not sealed is refused before anything is started from it.
    const memory = join(template, 'memory');
    const target = await readlink(memory);
    await rm(memory);
    await writeFile(memory, '');
    const file = await open(memory, 'r+');
    await file.truncate(256 << 20);
    await file.close();
    const outcome = await run(['echo', 'here'], { annotations: {} });
    assert.equal(outcome.stdout, 'here\n');
    assert.match((await counts(lab)).failure ?? '', /not sealed/);
    assert.ok(target.includes(`/proc/${pid}/`));
    await eventually('its keeper has ended', async () => !(await isAlive(pid)));
  });

  test('a machine that cannot be restored is replaced by one that boots', async () => {
    await chmod(lab.root, 0o755);
    const qemu = join(lab.root, 'qemu');
    const script = 'case " $* " in *" -incoming "*) echo broken >&2; exit 3;; esac';
    await writeFile(qemu, `#!/bin/sh\n${script}\nexec /usr/bin/qemu-system-x86_64 "$@"\n`, { mode: 0o755 });
    const cacheDir = join(lab.root, 'other');
    const driver = createVmDriver({ ...vmPaths, cacheDir, qemu, kvmDevice: join(lab.root, 'no-kvm') });
    const vm = await driver.create(await lab.spec(['cat'], { ...FORK, process: { stdin: true } }));
    const outcome = await runToEnd(vm, 'typed early\n');
    assert.deepEqual([outcome.code, outcome.stdout, outcome.stderr], [0, 'typed early\n', '']);
    await vm.remove();
    const { facts } = await driver.probe();
    assert.match(facts['templateFailure'] ?? '', /QEMU.* ended with status 3/);
    assert.equal(facts['starts'], '0 forked, 1 booted');
    await driver.close?.();
  });

  test('a template that cannot be made says why', async () => {
    const vm = await lab.create(['true'], { ...FORK, resources: { cpus: 4000 } });
    await assert.rejects(vm.start(), {
      code: 'unavailable',
      message: /a template for the VM cannot be made: .*QEMU.*CPUs.*--boot cold/s,
    });
    await vm.remove();
    assert.equal((await templatesOf(lab)).length, 1);
  });

  test('a keeper that is killed takes nothing with it but the template', async () => {
    const running = await lab.create(['sleep', '1000'], FORK);
    await running.start();
    const template = await onlyTemplate(lab);
    process.kill(Number((await readFile(join(template, 'shim.pid'), 'utf8')).split(' ')[0]), 'SIGKILL');
    await eventually('the folder goes', async () =>
      (await templatesOf(lab)).every((path) => path !== template),
    );
    assert.equal((await execToEnd(running, ['echo', 'well'])).stdout, 'well\n');
    await running.kill(9);
    await running.wait();
    await running.remove();
    assert.equal((await run(['true'])).code, 0);
  });

  test('without being told, the first start boots and later ones fork', async () => {
    const change: SpecChange = { annotations: {}, resources: { memoryBytes: 128 << 20 } };
    const before = await counts(lab);
    assert.equal((await run(['true'], change)).code, 0);
    assert.equal((await counts(lab)).booted, before.booted + 1);
    await eventually('its template is made', async () =>
      /128 MiB\/1 CPU/.test((await lab.driver.probe()).facts['templates'] ?? ''),
    );
    const memory = (await run(['grep', 'MemTotal', '/proc/meminfo'], change)).stdout;
    assert.ok(Number(/\d+/.exec(memory)?.[0]) < 128 << 10, memory);
    assert.equal((await counts(lab)).forked, before.forked + 1);
  });

  test('cold and impossible wishes are heard', async () => {
    const before = await counts(lab);
    assert.equal((await run(['true'], { annotations: { 'berth.boot': 'cold' } })).code, 0);
    assert.equal((await counts(lab)).booted, before.booted + 1);
    const mount = {
      type: 'bind',
      source: lab.root,
      target: '/data',
      readonly: true,
      propagation: 'rprivate',
    };
    const bind = { ...FORK, mounts: [mount] } as SpecChange;
    await assert.rejects(lab.create(['true'], bind), { code: 'unsupported', message: /cannot be forked/ });
    await assert.rejects(lab.create(['true'], { annotations: { 'berth.boot': 'warm' } }), {
      code: 'invalid-argument',
      message: /"warm" is none of auto, cold, fork, pool/,
    });
  });
});

describe('a daemon that is killed', { timeout: 300_000 }, () => {
  test('leaves nothing of a template, in whatever phase of its making', async () => {
    await using lab = await openVmLab();
    const program = join(import.meta.dirname, '../fixtures/vm-parent.ts');
    const options = { ...vmPaths, cacheDir: lab.cacheDir, kvmDevice: join(lab.root, 'no-kvm') };
    const leftovers = new Set<string>();
    for (const wait of [0, 300, 1200, 3000, 5500]) {
      const spec = await lab.spec(['sleep', '1000'], FORK);
      const parent = fork(program, [JSON.stringify(options), JSON.stringify(spec)]);
      await eventually('a template is begun', async () =>
        (await templatesOf(lab)).some((path) => !leftovers.has(path)),
      );
      await delay(wait);
      parent.kill('SIGKILL');
      await once(parent, 'exit');
      await eventually(
        `no supervisor is left after ${wait} ms`,
        async () => (await keepers(lab)).length === 0,
      );
      for (const folder of await templatesOf(lab)) leftovers.add(folder);
      const vm = await lab.nextDriver().adopt(spec);
      await endOf(vm);
    }
    const next = lab.nextDriver();
    const spec = await lab.spec(['true'], FORK);
    const vm = await next.create(spec);
    assert.equal((await runToEnd(vm)).code, 0);
    await vm.remove();
    // What the killed ones left was a few small files, and the next one has removed them.
    assert.ok((await templatesOf(lab)).every((path) => !leftovers.has(path)));
  });
});

describe('a daemon that ends', { timeout: 300_000 }, () => {
  for (const [title, wait, stuck] of [
    ['at the beginning', 0, false],
    ['in the middle', 1200, false],
    ['when its supervisor stands still', 300, true],
  ] as const)
    test(`leaves no supervisor of a template that is being made, ${title}`, async () => {
      await using lab = await openVmLab();
      const program = join(import.meta.dirname, '../fixtures/vm-parent.ts');
      const options = { ...vmPaths, cacheDir: lab.cacheDir, kvmDevice: join(lab.root, 'no-kvm') };
      const spec = await lab.spec(['sleep', '1000'], FORK);
      const parent = fork(program, [JSON.stringify(options), JSON.stringify(spec)]);
      await eventually('a template is begun', async () => (await keepers(lab)).length > 0);
      await delay(wait);
      const [keeper = 0] = await keepers(lab);
      if (stuck) process.kill(keeper, 'SIGSTOP');
      parent.kill('SIGTERM');
      assert.deepEqual(await once(parent, 'exit'), [0, null]);
      assert.deepEqual(await keepers(lab), []);
      assert.deepEqual(await templatesOf(lab), []);
      await endOf(await lab.nextDriver().adopt(spec));
    });
});

async function endOf(vm: Instance): Promise<void> {
  if ((await vm.state()).state === 'running') {
    await vm.kill(9);
    await vm.wait();
  }
  await vm.remove();
}
