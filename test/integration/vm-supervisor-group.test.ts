// The control group of a VM's supervisor: copies of the machine's memory do not count there.

import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { alive, groupOf, lower, onDisk, overfill } from '../fixtures/supervisor-group.ts';
import { openVmLab, sawOutput } from '../fixtures/vm.ts';

describe('the supervisor of a VM', { timeout: 120_000 }, () => {
  it('stands alone in a group, does not pay for copies of its machine, and ends at its limit', async () => {
    await using lab = await openVmLab();
    await using _disk = await onDisk(join(lab.root, 'workloads'));
    const fill = 'dd if=/dev/urandom of=/dev/shm/x bs=1M count=48; echo filled; sleep 1000';
    const spec = await lab.spec(['sh', '-c', fill], { annotations: { 'berth.boot': 'cold' } });
    const vm = await lab.driver.create(spec);
    const io = await vm.attach({ stdin: false, stdout: true, stderr: true });
    const filled = sawOutput(io, 'filled');
    await vm.start();
    await filled;
    await lower(spec);
    const { checkpointing } = vm;
    assert.ok(checkpointing);
    await mkdir(join(lab.root, 'checkpoint'));
    const origin = await checkpointing.capture(join(lab.root, 'checkpoint'));
    await alive(spec, vm);
    await origin[Symbol.asyncDispose]();
    await overfill(spec);
    const { reason, oomKilled } = await vm.wait();
    assert.deepEqual([reason, oomKilled], ['supervisor-died', false]);
    await vm.remove();
    assert.ok(!existsSync(groupOf(spec)));
  });
});
