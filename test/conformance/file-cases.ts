// Files of an instance, running and not; mounts.

import assert from 'node:assert/strict';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { type Files, type Instance, isBerthError } from '../../src/core/index.ts';
import { entriesOf, tarOf } from '../fixtures/tar.ts';
import type { Case } from './instance-suite.ts';

const PLAIN = { noOverwriteDirNonDir: true, copyUidGid: false };

function filesOf(instance: Instance): Files {
  assert.ok(instance.files, 'this isolation gives access to files');
  return instance.files;
}

async function read(instance: Instance, path: string) {
  return entriesOf(await buffer(await filesOf(instance).read(path)));
}

function write(instance: Instance, path: string, entries: Parameters<typeof tarOf>[0]): Promise<void> {
  return filesOf(instance).write(path, Readable.from([tarOf(entries)]), PLAIN);
}

export const fileCases: readonly Case[] = [
  [
    'tells what a path is',
    async ({ bench, driver }) => {
      const instance = await bench.create(driver, ['sleep', '1000']);
      await instance.start();
      const kept = await filesOf(instance).stat('/data/kept');
      assert.deepEqual([kept.name, kept.sizeBytes, kept.mode], ['kept', 15, 0o644]);
      const folder = await filesOf(instance).stat('/data');
      assert.equal(folder.mode, 0o755 + 2 ** 31);
      const link = await filesOf(instance).stat('/data/link');
      assert.deepEqual([link.mode - 2 ** 27, link.linkTarget], [0o777, '/data/kept']);
      await assert.rejects(filesOf(instance).stat('/no/such'), (error) => isBerthError(error, 'not-found'));
    },
  ],
  [
    'reads files and folders as archives',
    async ({ bench, driver }) => {
      const instance = await bench.create(driver, [
        'sh',
        '-c',
        'mkdir -p /d/e; echo new > /d/e/f; ln /d/e/f /d/g; sleep 1000',
      ]);
      await instance.start();
      // The shell may not have come that far: a process that ends after it says so.
      const probe = await instance.exec?.run({
        args: ['sh', '-c', 'while [ ! -e /d/g ]; do sleep 0.02; done'],
        env: ['PATH=/bin'],
        cwd: '/',
        user: '',
        additionalGroups: [],
        tty: false,
        stdin: false,
        privileged: false,
      });
      await probe?.exit;
      const entries = await read(instance, '/d');
      const names = entries.map((entry) => entry.name).sort();
      assert.deepEqual(names, ['d/', 'd/e/', 'd/e/f', 'd/g']);
      assert.equal(entries.filter((entry) => entry.type === 'link').length, 1);
      assert.equal(entries.find((entry) => entry.type === 'file')?.content.toString(), 'new\n');
      const file = await read(instance, '/etc/motd');
      assert.deepEqual([file[0]?.name, file[0]?.content.toString()], ['motd', 'welcome\n']);
    },
  ],
  [
    'unpacks archives into a running instance',
    async ({ bench, driver }) => {
      const instance = await bench.create(driver, [
        'sh',
        '-c',
        'while [ ! -e /data/sub/go ]; do sleep 0.05; done; cat /data/sub/go; ls -ln /data/sub/go',
      ]);
      const io = await instance.attach({ stdin: false, stdout: true, stderr: true });
      const output = buffer(io.output);
      await instance.start();
      await write(instance, '/data', [
        { name: 'sub/', type: 'folder', mode: 0o755 },
        { name: 'sub/go', content: 'contents\n', mode: 0o640, uid: 12, gid: 34 },
      ]);
      assert.equal((await instance.wait()).code, 0);
      assert.match((await output).toString(), /contents\n[\s\S]*-rw-r-----.* 12 +34 /);
    },
  ],
  [
    'reads, writes and lists changes of what does not run',
    async ({ bench, driver }) => {
      const { instance } = await bench.run(driver, [
        'sh',
        '-c',
        'rm /data/gone; echo more >> /data/kept; mkdir /fresh; echo 1 > /fresh/one',
      ]);
      assert.equal((await read(instance, '/fresh/one'))[0]?.content.toString(), '1\n');
      await write(instance, '/fresh', [{ name: 'two', content: '2\n' }]);
      const changes = await filesOf(instance).changes();
      assert.deepEqual(
        changes.map((change) => `${'CAD'[change.kind]} ${change.path}`),
        ['C /data', 'D /data/gone', 'C /data/kept', 'A /fresh', 'A /fresh/one', 'A /fresh/two'],
      );
      const again = await instance.wait();
      assert.equal(again.code, 0);
    },
  ],
  [
    'takes files before the first start',
    async ({ bench, driver }) => {
      const instance = await bench.create(driver, ['cat', '/data/early']);
      await write(instance, '/data', [{ name: 'early', content: 'here\n' }]);
      const io = await instance.attach({ stdin: false, stdout: true, stderr: true });
      const output = buffer(io.output);
      await instance.start();
      await instance.wait();
      assert.match((await output).toString(), /here\n$/);
    },
  ],
  [
    'goes on with a transfer when it is started meanwhile',
    async ({ bench, driver }) => {
      const instance = await bench.create(driver, ['sleep', '1000']);
      const tar = await filesOf(instance).read('/bin');
      await instance.start();
      const names = entriesOf(await buffer(tar)).map((entry) => entry.name);
      assert.ok(names.includes('bin/sh') && names.includes('bin/busybox'));
      assert.equal((await instance.state()).state, 'running');
    },
  ],
  [
    'lets no link and no archive lead out of the root',
    async ({ bench, driver }) => {
      const instance = await bench.create(driver, ['sleep', '1000']);
      await instance.start();
      // /data/up is a link to ../../../../../../etc: inside the root, that is /etc.
      assert.equal((await read(instance, '/data/up/motd'))[0]?.content.toString(), 'welcome\n');
      await assert.rejects(read(instance, '/data/up/shadow'), (error) => isBerthError(error, 'not-found'));
      await write(instance, '/data/up', [{ name: 'through', content: 'x' }]);
      assert.equal((await filesOf(instance).stat('/etc/through')).sizeBytes, 1);
      await assert.rejects(write(instance, '/data', [{ name: '../../escaped', content: 'x' }]), (error) =>
        isBerthError(error, 'invalid-argument'),
      );
      await write(instance, '/data', [
        { name: 'trap', type: 'symlink', link: '/' },
        { name: 'trap/inside', content: 'x' },
      ]);
      assert.equal((await filesOf(instance).stat('/inside')).sizeBytes, 1);
      await assert.rejects(readFile('/inside'));
    },
  ],
  [
    'refuses to replace a folder by a file, and what is no archive',
    async ({ bench, driver }) => {
      const instance = await bench.create(driver, ['sleep', '1000']);
      await instance.start();
      await assert.rejects(write(instance, '/', [{ name: 'data', content: 'x' }]), /directory/);
      await assert.rejects(
        filesOf(instance).write('/data', Readable.from([Buffer.alloc(2048, 'x')]), PLAIN),
        (error) => isBerthError(error, 'invalid-argument'),
      );
      await assert.rejects(write(instance, '/no/such', [{ name: 'f', content: 'x' }]), (error) =>
        isBerthError(error, 'not-found'),
      );
    },
  ],
  [
    'keeps long names, links, times and big files',
    async ({ bench, driver }) => {
      const instance = await bench.create(driver, ['sleep', '1000']);
      await instance.start();
      const long = `${'folder/'.repeat(20)}${'n'.repeat(120)}`;
      const big = Buffer.alloc(3_000_001, 'big ');
      await write(instance, '/data', [
        { name: long, content: 'long' },
        { name: 'sym', type: 'symlink', link: 'kept' },
        { name: 'big', content: big, mtime: 1_000_000_000 },
      ]);
      assert.equal((await read(instance, `/data/${long}`))[0]?.content.toString(), 'long');
      const stat = await filesOf(instance).stat('/data/big');
      assert.equal(Date.parse(stat.mtime), 1_000_000_000_000);
      assert.ok(big.equals((await read(instance, '/data/big'))[0]?.content ?? Buffer.alloc(0)));
      const all = await read(instance, '/data/folder');
      assert.ok(all.some((entry) => entry.name === long));
    },
  ],
  [
    'binds host folders, read-only where asked, and mounts tmpfs',
    async ({ bench, driver }) => {
      const shared = join(bench.root, 'shared');
      await mkdir(shared, { recursive: true });
      await writeFile(join(shared, 'in'), 'from the host\n');
      const bind = { type: 'bind', source: shared, propagation: 'rprivate' } as const;
      const script =
        'cat /rw/in; echo out > /rw/out; echo x 2>/dev/null > /ro/x || echo refused; df /scratch | tail -1 | cut -c1-5; echo t > /scratch/t';
      const { status, stdout } = await bench.run(driver, ['sh', '-c', script], {
        mounts: [
          { ...bind, target: '/rw', readonly: false },
          { ...bind, target: '/ro', readonly: true },
          { type: 'tmpfs', target: '/scratch', sizeBytes: 1 << 20, readonly: false, options: [] },
        ],
      });
      assert.deepEqual([status.code, stdout], [0, 'from the host\nrefused\ntmpfs\n']);
      assert.equal(await readFile(join(shared, 'out'), 'utf8'), 'out\n');
    },
  ],
  [
    'keeps a read-only root read-only',
    async ({ bench, driver }) => {
      const script = 'echo x 2>/dev/null > /data/x || echo refused; echo y > /tmp/y && echo ok';
      const { stdout } = await bench.run(driver, ['sh', '-c', script], {
        readonlyRoot: true,
        mounts: [{ type: 'tmpfs', target: '/tmp', readonly: false, options: [] }],
      });
      assert.equal(stdout, 'refused\nok\n');
    },
  ],
];
