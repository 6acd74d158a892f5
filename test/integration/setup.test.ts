// Set-up where everything is there already. `npm test` has just set this machine up.

import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));

/** A shell with the functions of setup-packages.sh, in a copy of scripts/ whose package list is ours. */
function withPackages(list: string, script: string): string {
  const folder = mkdtempSync(join(tmpdir(), 'berth-setup-'));
  try {
    cpSync(join(ROOT, 'scripts'), join(folder, 'scripts'), { recursive: true });
    mkdirSync(join(folder, 'bin'));
    writeFileSync(join(folder, 'list'), list);
    const functions = 'say() { echo "$*"; }; fail() { echo "$*"; exit 1; }; . scripts/setup-packages.sh;';
    const run = spawnSync('/bin/sh', ['-euc', `${functions} ${script}`], { cwd: folder, encoding: 'utf8' });
    return run.stdout + run.stderr;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

describe('set-up', () => {
  test('needs no network and less than a second when nothing is missing', () => {
    const times = [1, 2, 3].map(() => {
      const start = performance.now();
      execFileSync('unshare', ['--net', 'sh', join(ROOT, 'scripts/setup.sh')], { stdio: 'pipe' });
      return performance.now() - start;
    });
    assert.ok(Math.min(...times) < 1000, `took ${times.map(Math.round)} ms`);
  });

  test('names each missing package with its reason, once, and takes alternatives for installed', () => {
    const list =
      '# comment\nno-such-package  to be missed\nno-such-other|dpkg  either will do\ndpkg  is there\n';
    assert.equal(withPackages(list, 'missing_packages list'), 'no-such-package\n');
    assert.equal(withPackages(list, 'package_reason no-such-package list'), 'to be missed\n');
    assert.equal(withPackages(list, 'package_reason no-such-other list'), 'either will do\n');
  });

  test('leaves out what a release does not have', () => {
    const list = 'virtiofsd [!debian-12 !ubuntu-22.04]  shares\nmount  mounts\n';
    const namesIn = (release: string) =>
      withPackages(list, `printf '${release}' > os; os_release=./os; packages_here list`).trim();
    assert.equal(namesIn('ID=debian\\nVERSION_ID="12"\\n'), 'mount  mounts');
    assert.equal(namesIn('ID=ubuntu\\nVERSION_ID="22.04"\\n'), 'mount  mounts');
    for (const release of [
      'ID=debian\\nVERSION_ID="13"\\n',
      'ID=ubuntu\\nVERSION_ID="24.04"\\n',
      'ID=kali\\n',
    ])
      assert.equal(namesIn(release), 'virtiofsd  shares\nmount  mounts');
  });

  test('only lists what it would do when asked to', () => {
    const folder = mkdtempSync(join(tmpdir(), 'berth-setup-'));
    try {
      for (const name of ['scripts', 'berth', 'package-lock.json'])
        cpSync(join(ROOT, name), join(folder, name), { recursive: true });
      writeFileSync(join(folder, 'scripts/packages.txt'), 'no-such-package  to be missed\n');
      const text = execFileSync('unshare', ['--net', join(folder, 'berth'), 'setup', '--dry-run'], {
        encoding: 'utf8',
        env: { PATH: process.env['PATH'], BERTH_KERNEL_DIR: join(folder, 'kernel') },
      });
      for (const said of [
        /no-such-package: to be missed/,
        /npm packages/,
        /compile Berth/,
        /kernel for guests/,
      ])
        assert.match(text, said);
      assert.deepEqual(readdirSync(folder).sort(), ['berth', 'package-lock.json', 'scripts']);
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  });

  test('prints what to install where there is no apt', () => {
    // Only these programs exist there.
    const tools = 'for tool in sed head cat id; do ln -s "$(command -v $tool)" bin/; done; PATH=bin;';
    const text = withPackages('', `${tools} install_packages 'crun musl-tools' scripts/packages.txt`);
    assert.match(text, /crun: runs containers/);
    assert.match(text, /musl-tools: in Fedora musl-gcc, in Arch Linux musl/);
    assert.match(text, /neither Debian nor Ubuntu/);
  });
});
