// Real guests whose root turns against the agent, and through it against the host.

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import type { Instance } from '../../src/core/index.ts';
import { execToEnd, openVmLab, type VmLab } from '../fixtures/vm.ts';

/** Limit for the answer of a working agent on a busy machine. */
const SOON_MS = 20_000;

async function soon<T>(what: string, work: Promise<T>): Promise<T> {
  const late = new Promise<never>((_, reject) => {
    setTimeout(() => reject(new Error(`${what}: no answer within ${SOON_MS} ms`)), SOON_MS).unref();
  });
  return Promise.race([work, late]);
}

const sh = (vm: Instance, script: string) => execToEnd(vm, ['sh', '-c', script]);

/** Does it again and again until it takes so long that it must have got stuck. */
async function untilStuck(work: () => Promise<unknown>): Promise<void> {
  for (let ended = true; ended; )
    ended = await Promise.race([
      work().then(
        () => true,
        () => true,
      ),
      delay(1500, false),
    ]);
}

describe('the root of a guest', { timeout: 180_000 }, () => {
  let lab: VmLab;
  let plain: Instance;
  let privileged: Instance;
  before(async () => {
    lab = await openVmLab();
    const layer = join(lab.root, 'layer');
    const source = join(import.meta.dirname, '../fixtures/hostile-guest.c');
    execFileSync('musl-gcc', ['-O1', '-static', '-o', join(layer, 'attack'), source]);
    const many = Array.from(
      { length: 10_000 },
      (_, i) => `user${i}:x:${10_000 + i}:100:Nobody:/home/u:/bin/sh\n`,
    );
    await writeFile(join(layer, 'etc/many'), `${many.join('')}far:x:4242:4243:Far:/far:/bin/sh\n`);
    const security = { privileged: true };
    [plain, privileged] = await Promise.all([
      lab.create(['sleep', '1000']),
      lab.create(['sleep', '1000'], { security, process: { privileged: true } }),
    ]);
    await Promise.all([plain.start(), privileged.start()]);
  });
  after(async () => {
    await lab?.[Symbol.asyncDispose]();
  });

  test('has its users found, however many there are', async () => {
    await sh(plain, 'cp /etc/passwd /etc/few; cp /etc/many /etc/passwd');
    const { stdout } = await execToEnd(plain, ['sh', '-c', 'id -u; id -g; echo $HOME'], { user: 'far' });
    assert.equal(stdout, '4242\n4243\n/far\n');
  });

  test('cannot make the agent wait for a file of its own that nobody writes to', async () => {
    await sh(plain, 'for file in passwd group; do rm /etc/$file; mkfifo /etc/$file; done');
    await assert.rejects(soon('exec as a user', execToEnd(plain, ['id'], { user: 'alice' })), {
      message: /unable to find user alice/,
    });
    const { stdout } = await soon('exec', sh(plain, 'echo well'));
    assert.equal(stdout, 'well\n');
    await soon('stats', plain.stats?.() ?? Promise.reject(new Error('no stats')));
  });

  test('cannot keep the agent from answering by what it does to processes that are set up', async () => {
    // All of the workload stands still from here on, each process that is to become part of it included.
    void sh(privileged, 'echo 1 > /sys/fs/cgroup/cgroup.freeze').catch(() => {});
    await untilStuck(() => sh(privileged, 'true'));
    for (let tries = 0; tries < 3; tries++)
      await soon('stats', privileged.stats?.() ?? Promise.reject(new Error('no stats')));
    await soon('signal 15', privileged.kill(15));
    await soon('signal 9', privileged.kill(9));
    assert.equal((await soon('end', privileged.wait())).code, 137);
  });

  test('that takes the agent’s port ends its own machine, and no other', async () => {
    await privileged.start();
    const attack = sh(privileged, 'echo "|/run/root/attack" > /proc/sys/kernel/core_pattern; kill -SEGV $$');
    attack.catch(() => {});
    const status = await soon('end', privileged.wait());
    assert.deepEqual(
      [status.code, status.reason, status.message],
      [255, 'monitor-died', 'the guest broke the protocol and its machine was ended'],
    );
    assert.equal((await soon('exec', sh(plain, 'echo well'))).stdout, 'well\n');
    assert.equal((await plain.state()).state, 'running');
  });
});
