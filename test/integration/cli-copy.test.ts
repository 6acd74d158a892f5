// `berth cp`: whole copies by bytes, in both directions and isolations, and archives that mean harm to the host.

import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { run as runProgram } from '../../src/host/index.ts';
import { CliHost } from '../fixtures/cli.ts';
import { tarOf } from '../fixtures/tar.ts';

let host: CliHost;

before(async () => {
  host = await CliHost.open();
  await host.ok('image', 'create', 'busybox');
});

after(async () => {
  assert.deepEqual(await host.close(), []);
});

/** Makes a folder that holds one of everything, with names that are not UTF-8; runs in busybox and on the host. */
const MAKE = `umask 022; mkdir -p sub; echo 1 >a; ln a hard; ln -s a soft; mkfifo fifo; mknod node c 1 3; echo 3 >sub/c
printf x >"$(printf '\\377\\376 bad')"; printf yy >"$(printf '\\377\\375 bad')"; chmod 4751 sub/c; touch -t 196001020304.05 a
dd if=/dev/zero of=holes bs=1 count=1 seek=20000000 2>/dev/null; chown -hR 70000:3000000 .`;
/** Lists a folder as lines: name, kind, owner, mode, links and time; sizes of files. */
const LIST = `find . | sort | while read -r f; do [ "$f" = . ] || stat -c '%n %F %u:%g %a %h %Y' "$f"; done
find . -type f | sort | while read -r f; do wc -c <"$f"; done`;

/** The same lines with root as the owner, as copies have it that keep no owners. */
const ofRoot = (list: string) => list.replaceAll('70000:3000000', '0:0');

for (const isolation of ['container', 'vm'] as const) {
  describe(`berth cp (${isolation})`, { timeout: 240_000 }, () => {
    const name = `copies-${isolation}`;
    const inside = (script: string) => host.ok('exec', '-e', 'LC_ALL=C', name, 'sh', '-c', script);
    const outside = (folder: string, script: string) =>
      runProgram('busybox', ['sh', '-c', script], { cwd: folder }).then(({ stdout }) => stdout);
    let folder: string;

    before(async () => {
      folder = join(host.root, isolation);
      await mkdir(folder);
      await writeFile(join(folder, 'bound'), 'old\n');
      const bind = `${join(folder, 'bound')}:/conf`;
      await host.ok(
        'run',
        '-d',
        '--isolation',
        isolation,
        '--name',
        name,
        '-v',
        bind,
        'busybox',
        'sleep',
        '1000',
      );
    });
    after(async () => {
      await host.ok('rm', '-f', name);
    });

    test('copies everything out: contents or a folder, names by bytes, with the owners where asked', async () => {
      const list = await inside(`mkdir /q; cd /q; ${MAKE}; ${LIST}`);
      assert.match(list, /a regular file 70000:3000000 644 2 -3155/);
      await mkdir(join(folder, 'into'));
      await host.ok('cp', `${name}:/q/.`, join(folder, 'into'));
      await host.ok('cp', '-a', `${name}:/q/.`, join(folder, 'fresh'));
      await host.ok('cp', `${name}:/q`, join(folder, 'into'));
      assert.equal(await outside(join(folder, 'fresh'), LIST), list);
      assert.equal(await outside(join(folder, 'into/q'), LIST), ofRoot(list));
      await runProgram('rm', ['-r', join(folder, 'into/q')]);
      assert.equal(await outside(join(folder, 'into'), LIST), ofRoot(list));
      await host.ok('cp', `${name}:/`, join(folder, 'root'));
      assert.equal(await readFile(join(folder, 'root/q/sub/c'), 'utf8'), '3\n');
    });

    test('copies everything in, and tells of sockets', async () => {
      const source = join(folder, 'source');
      await mkdir(source);
      const list = await outside(source, `${MAKE}; ${LIST}`);
      await runProgram(process.execPath, [
        '-e',
        `require('net').createServer().listen('${source}/socket', () => process.exit())`,
      ]);
      await host.ok('exec', name, 'mkdir', '/in');
      const told = await host.run('cp', `${source}/.`, `${name}:/in`);
      assert.deepEqual([told.code, /socket ignored/.test(told.stderr)], [0, true]);
      await host.ok('cp', '-a', source, `${name}:/kept`);
      assert.equal(await inside(`cd /in; ${LIST}`), ofRoot(list));
      assert.equal(await inside(`cd /kept; ${LIST}`), list);
      const bad = await host.onTerminal(`berth cp "$(printf '${source}/\\377\\376 bad')" ${name}:/one`).done;
      assert.equal(bad.code, 0);
      assert.equal(await inside('cat /one'), 'x');
    });

    test('keeps owners of an archive with -a, and of one for the user of the workload as Docker does', async () => {
      const tar = tarOf([{ name: 'owned', content: 'x', uid: 1111, gid: 2222 }]);
      const { code } = await host.feed(tar, 'cp', '-a', '-', `${name}:/tmp`);
      assert.equal(code, 0);
      assert.equal(await inside('stat -c %u:%g /tmp/owned'), '1111:2222\n');
    });

    test('fills a mounted file and leaves the mount, which nothing else may replace', async () => {
      await writeFile(join(folder, 'fresh-file'), 'new\n');
      await host.ok('cp', join(folder, 'fresh-file'), `${name}:/etc/hosts`);
      await host.ok('cp', join(folder, 'fresh-file'), `${name}:/conf`);
      assert.equal(await readFile(join(folder, 'bound'), 'utf8'), 'new\n');
      assert.equal(
        await inside("grep -c ' /conf ' /proc/mounts; cat /etc/hosts; echo later >/conf"),
        '1\nnew\n',
      );
      assert.equal(await readFile(join(folder, 'bound'), 'utf8'), 'later\n');
      const link = tarOf([{ name: 'conf', type: 'symlink', link: 'elsewhere' }]);
      const { code, stderr } = await host.feed(link, 'cp', '-', `${name}:/`);
      assert.equal(code, 1);
      assert.match(stderr, /conf: Resource busy/);
      assert.equal(await inside("grep -c ' /conf ' /proc/mounts"), '1\n');
    });

    test('opens no device that an archive names or that lies where a file is looked for', async () => {
      // The kernel makes a loop device the moment its node is opened.
      const made = (minor: number) => existsSync(`/sys/block/loop${minor}`);
      const minors = [901, 902, 903] as const;
      assert.deepEqual(minors.map(made), [false, false, false]);
      const node = tarOf([
        { name: 'disk', type: 'block', device: { major: 7, minor: minors[0] }, mode: 0o640 },
      ]);
      assert.equal((await host.feed(node, 'cp', '-', `${name}:/tmp`)).code, 0);
      assert.match(await inside('ls -l /tmp/disk'), /^brw-r----- .* 7, 901 /);
      await inside(
        `mkdir /nodes; mknod /nodes/b b 7 ${minors[1]}; rm /etc/passwd; mknod /etc/passwd b 7 ${minors[2]}`,
      );
      await host.ok('cp', `${name}:/nodes`, join(folder, 'nodes'));
      await host.run('exec', '-u', 'nobody', name, 'id');
      assert.deepEqual(minors.map(made), [false, false, false]);
    });

    test('is an error with its reason when a file cannot be copied whole', async () => {
      // A file that tells no size and is longer than what is read of such at once.
      const { code, stderr } = await host.run('cp', `${name}:/proc/kallsyms`, join(folder, 'symbols'));
      assert.equal(code, 1);
      assert.match(stderr, /kallsyms: it does not tell its size/);
      const docker = await runProgram('docker', ['cp', `${name}:/proc/kallsyms`, folder], {
        env: { PATH: '/usr/local/bin:/usr/bin:/bin', DOCKER_HOST: String(host.env['BERTH_HOST']) },
      }).catch((error: Error) => error);
      assert.ok(docker instanceof Error);
    });
  });
}
