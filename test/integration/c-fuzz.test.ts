// The parsers of the C programs under the sanitizers: their unit tests, and inputs made from the corpus of each fuzz target.
// The seed is fixed, so that a failure is one for everybody; `npm run fuzz` goes further.

import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { run } from '../../src/host/index.ts';

const FUZZ = join(import.meta.dirname, '../../fuzz');
const BUILT = join(FUZZ, '../build/fuzz');
const SEED = 7;
/** Inputs for a target that makes files: it takes longer for each. */
const RUNS: Readonly<Record<string, number>> = { unpack: 4000 };
const MOST_RUNS = 20_000;

describe('the parsers of the C programs', { timeout: 300_000 }, () => {
  let targets: readonly string[];
  let folder: string;

  before(async () => {
    await run('make', ['-s', '-j2', '-C', FUZZ, 'all'], { timeoutMs: 240_000 });
    targets = (await run('make', ['-s', '-C', FUZZ, 'targets'])).stdout.trim().split(' ');
    folder = await mkdtemp(join(tmpdir(), 'berth-fuzz-'));
  });
  after(() => rm(folder, { recursive: true, force: true }));

  test('are in programs that are hardened', async () => {
    for (const program of ['berth-shim', 'berth-agent', 'berth-unpack', 'berth-bench']) {
      const { stdout } = await run('readelf', ['-hdlW', join(FUZZ, '../build/bin', program)]);
      assert.match(stdout, /Type: +DYN \(Position-Independent Executable file\)/, program);
      assert.match(stdout, /GNU_RELRO/, program);
      assert.match(stdout, /FLAGS_1.*NOW PIE/, program);
      assert.match(stdout, /GNU_STACK .* RW /, program);
    }
  });

  test('are in programs that compile without a warning', async () => {
    for (const program of ['shim', 'agent', 'unpack', 'workbench'])
      await run('make', ['-s', '-C', join(FUZZ, '..', program), `OUT=${folder}`, 'WERROR=1', 'all']);
  });

  test('do in their unit tests what they promise', async () => {
    const { stdout } = await run(join(BUILT, 'units'), [], { cwd: folder });
    assert.doesNotMatch(stdout, /^not ok/m);
    assert.match(stdout, /^ok only regular files are opened$/m);
  });

  test('find no fault in what is made from their corpora', async () => {
    assert.ok(targets.length >= 5);
    for (const target of targets) {
      const corpus = join(FUZZ, 'corpus', target);
      assert.ok(existsSync(corpus), `${target} has inputs to begin with`);
      const runs = RUNS[target] ?? MOST_RUNS;
      const args = [`--runs=${runs}`, `--seed=${SEED}`, corpus];
      const { stdout } = await run(join(BUILT, target), args, { cwd: folder, timeoutMs: 60_000 });
      assert.match(stdout, new RegExp(`${runs} inputs from \\d+ seeds \\(seed ${SEED}\\), no fault`));
    }
  });
});
