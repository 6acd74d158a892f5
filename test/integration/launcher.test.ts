// The launcher ./berth decides what is due before it starts the CLI. Here the CLI and the scripts are stand-ins that
// tell what was called: what is tested is the decision.

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  copyFileSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';

const LAUNCHER = fileURLToPath(new URL('../../berth', import.meta.url));

let folder = '';
const at = (path: string): string => join(folder, path);

/** Writes a file whose modification lies `age` minutes in the past. */
function put(path: string, age: number, text = ''): void {
  mkdirSync(join(at(path), '..'), { recursive: true });
  writeFileSync(at(path), text);
  const time = Date.now() / 1000 - age * 60;
  utimesSync(at(path), time, time);
}

function putScript(path: string, age: number, text: string): void {
  put(path, age, `#!/bin/sh\n${text}\n`);
  chmodSync(at(path), 0o755);
  const time = Date.now() / 1000 - age * 60;
  utimesSync(at(path), time, time);
}

/** What was called, in order. */
function launch(launcher = at('berth'), ...args: string[]): string[] {
  rmSync(at('calls'), { force: true });
  execFileSync(launcher, args, {
    env: { ...process.env, CALLS: at('calls') },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  return readFileSync(at('calls'), 'utf8').trim().split('\n');
}

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'berth-launcher-'));
  copyFileSync(LAUNCHER, at('berth'));
  put('package-lock.json', 20);
  put('scripts/packages.txt', 20);
  put('src/core/index.ts', 20);
  put('src/drivers/vm/index.ts', 20);
  put('build/.ready', 10);
  put('build/.built', 10);
  mkdirSync(at('.git'));
  // biome-ignore lint/suspicious/noTemplateCurlyInString: the shell expands it
  putScript('scripts/setup.sh', 20, 'echo set-up >> "$CALLS"; touch "${0%/*}/../build/.ready"');
  // biome-ignore lint/suspicious/noTemplateCurlyInString: the shell expands it
  putScript('scripts/build.sh', 20, 'echo build >> "$CALLS"; touch "${0%/*}/../build/.built"');
  putScript('build/bin/berth', 10, 'echo "berth $*" >> "$CALLS"');
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

describe('the launcher', () => {
  test('starts the CLI at once when nothing is due', () => {
    assert.deepEqual(launch(at('berth'), 'run', 'a b'), ['berth run a b']);
  });

  test('sets up a fresh clone first, once', () => {
    rmSync(at('build/.ready'));
    assert.deepEqual(launch(), ['set-up', 'berth']);
    assert.deepEqual(launch(), ['berth']);
  });

  test('sets up again when the list of packages or the lock file changed', () => {
    put('scripts/packages.txt', 0);
    assert.deepEqual(launch(), ['set-up', 'berth']);
    put('build/.ready', 10);
    put('scripts/packages.txt', 20);
    put('package-lock.json', 0);
    assert.deepEqual(launch(), ['set-up', 'berth']);
  });

  test('builds again when a source in a checkout changed, however deep', () => {
    put('src/drivers/vm/index.ts', 1);
    assert.deepEqual(launch(), ['build', 'berth']);
    assert.deepEqual(launch(), ['berth']);
  });

  test('does not look at sources outside of a checkout', () => {
    rmSync(at('.git'), { recursive: true });
    put('src/core/index.ts', 0);
    assert.deepEqual(launch(), ['berth']);
  });

  test('finds its repository through a link', () => {
    symlinkSync(at('berth'), at('link'));
    assert.deepEqual(launch(at('link'), 'ps'), ['berth ps']);
  });

  test('exits with 125 when set-up fails', () => {
    rmSync(at('build/.ready'));
    putScript('scripts/setup.sh', 0, 'exit 3');
    assert.throws(() => launch(), { status: 125 });
  });
});
