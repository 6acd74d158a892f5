// The place that each file of tests has for itself (scripts/own-place.sh): a test that is killed leaves nothing.

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { cgroupHost } from '../../src/host/index.ts';

const PLACE = join(import.meta.dirname, '../../scripts/own-place.sh');

/** Makes one of each kind, says where its folder is, and dies. */
const UNTIDY = `
const { spawn, execFileSync } = require('node:child_process');
const { mkdirSync, writeFileSync } = require('node:fs');
const { basename } = require('node:path');
const folder = process.env.TMPDIR;
spawn('setsid', ['sleep', '4321'], { detached: true, stdio: 'ignore' });
mkdirSync(folder + '/deep');
mkdirSync(process.argv[1] + '/' + basename(folder) + '-left/below', { recursive: true });
writeFileSync(folder + '/disk', Buffer.alloc(1 << 20));
execFileSync('losetup', ['--find', folder + '/disk']);
execFileSync('mount', ['-t', 'tmpfs', 'left', folder + '/deep']);
execFileSync('ip', ['link', 'add', 'left0', 'type', 'bridge']);
require('node:fs').writeSync(1, folder);
process.kill(process.pid, 'SIGKILL');
`;

test('a test that is killed leaves no process, mount, interface, control group, loop device or file', () => {
  const hierarchy = cgroupHost().hierarchies[0] ?? '';
  const { stdout, stderr, status } = spawnSync(PLACE, ['-e', UNTIDY, hierarchy], { encoding: 'utf8' });
  assert.equal(status, 137, stderr);
  assert.match(stdout, /^\/.*bt-\w+$/);
  assert.match(stderr, /left behind: .*-left[\s\S]*left behind: \/dev\/loop/);
  assert.equal(existsSync(stdout), false);
  assert.deepEqual(
    readdirSync(hierarchy).filter((name) => name.endsWith('-left')),
    [],
  );
  const commands = readdirSync('/proc').map((pid) => {
    try {
      return readFileSync(`/proc/${pid}/cmdline`, 'utf8');
    } catch {
      return '';
    }
  });
  assert.ok(!commands.includes('sleep\u00004321\u0000'));
  assert.doesNotMatch(readFileSync('/proc/self/mountinfo', 'utf8'), new RegExp(stdout));
  assert.equal(existsSync('/sys/class/net/left0'), false);
});
