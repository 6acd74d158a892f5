// Needs root, crun, QEMU, the guest kernel and the built programs.
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { runProperty } from '../fixtures/engine-property.ts';
import { seedVmCache } from '../fixtures/vm-cache.ts';

for (const { isolations, steps } of [
  { isolations: ['container'], steps: 144 },
  { isolations: ['container', 'vm'], steps: 72 },
] as const)
  test(`random calls in parallel leave no trace and no lie (${isolations.join(', ')})`, async () => {
    // The same calls at every run; scripts/property.sh looks for new ones.
    const seed = 2026;
    const prepare = (root: string) => seedVmCache(join(root, 'vm'));
    const { findings, daemonsKilled } = await runProperty({ steps, seed, isolations, prepare });
    assert.deepEqual(findings, [], `seed ${seed}`);
    assert.ok(daemonsKilled > 0);
  });
