// A daemon in a chroot, as in an installer or a build root: whatever reaches a container reaches its root, never the root of
// the host around the chroot, which mount namespaces begin at.

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmdirSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';

const REPOSITORY = join(import.meta.dirname, '../..');
const CASES = [
  'runs further processes with',
  'unpacks archives into a running',
  'reads, writes and lists changes',
];
const IN_CHROOT = 'mount --rbind / "$0" && cd "$0" && exec chroot . sh -c \'cd "$0" && exec "$@"\' "$@"';

test('in a chroot, execs and copies are where the main process is', () => {
  const root = mkdtempSync(join(tmpdir(), 'berth-chroot-'));
  const { NODE_TEST_CONTEXT: _, ...env } = process.env;
  const patterns = CASES.map((title) => `--test-name-pattern=${title}`);
  const suite = [
    process.execPath,
    '--test',
    '--test-reporter=tap',
    ...patterns,
    'test/conformance/container.test.ts',
  ];
  const command = ['--mount', 'sh', '-c', IN_CHROOT, root, REPOSITORY, ...suite];
  const run = spawnSync('unshare', command, { env, encoding: 'utf8', timeout: 120_000 });
  rmdirSync(root);
  assert.equal(run.status, 0, run.stdout + run.stderr);
  assert.match(run.stdout, new RegExp(`^# pass ${CASES.length}$`, 'm'));
});
