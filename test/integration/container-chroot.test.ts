// A daemon in a chroot, as in an installer or a build root: whatever reaches a container reaches its root, never the root of
// the host around the chroot, which mount namespaces begin at.

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';

const REPOSITORY = join(import.meta.dirname, '../..');
const CASES = [
  'runs further processes with',
  'unpacks archives into a running',
  'reads, writes and lists changes',
];
/** How the chroot's folder comes to show all of this root. */
const FOLDERS = {
  'that is a mount point': 'mount --rbind / "$0" && cd "$0"',
  'that is none':
    'cd "$0" && for e in /*; do if [ -L $e ]; then cp -P $e .; elif [ -d $e ]; then mkdir .$e && mount --rbind $e .$e; fi || exit; done',
};
const ENTER = 'exec chroot . sh -c \'cd "$0" && exec "$@"\' "$@"';

for (const [kind, show] of Object.entries(FOLDERS))
  test(`in a chroot at a folder ${kind}, execs and copies are where the main process is`, () => {
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
    const command = ['--mount', 'sh', '-c', `${show} && ${ENTER}`, root, REPOSITORY, ...suite];
    const run = spawnSync('unshare', command, { env, encoding: 'utf8', timeout: 120_000 });
    // Nothing is mounted there any more; were it, it would stay.
    spawnSync('rm', ['-rf', '--one-file-system', root]);
    assert.equal(run.status, 0, run.stdout + run.stderr);
    assert.match(run.stdout, new RegExp(`^# pass ${CASES.length}$`, 'm'));
  });
