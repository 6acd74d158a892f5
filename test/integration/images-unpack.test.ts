// berth-unpack by itself: what it makes of a layer, and what it refuses.

import assert from 'node:assert/strict';
import { lstat, mkdir, readdir, readFile, readlink, stat } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { type TestContext, test } from 'node:test';
import type { TarInput } from '../../src/formats/tar.ts';
import { run, spawnStream } from '../../src/host/process.ts';
import { packTar } from '../fixtures/archives.ts';
import { tempFolder, UNPACK_PATH } from '../fixtures/archives-store.ts';

interface Outcome {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
  readonly folder: string;
}

async function unpack(t: TestContext, tar: Buffer, flags: readonly string[] = []): Promise<Outcome> {
  const folder = join(await tempFolder(t), 'layer');
  await mkdir(folder);
  const child = spawnStream(UNPACK_PATH, [...flags, folder]);
  child.stdin.on('error', () => {});
  child.stdin.end(tar);
  const texts = Promise.all(
    [child.stdout, child.stderr].map(async (stream) => (await stream.toArray()).join('')),
  );
  const [stdout = '', stderr = ''] = await texts;
  return { code: (await child.exit).code, stdout, stderr, folder };
}

/** The first line; behind it are the folders that the layer leaves out. */
function counts(stdout: string): unknown {
  return JSON.parse(stdout.slice(0, stdout.indexOf('\n')));
}

function file(name: string, content = 'x', more: Partial<TarInput> = {}): TarInput {
  return { name, type: 'file', content, ...more };
}

/** Extended attributes as `name value` lines, values in hexadecimal, read by GNU tar. */
async function xattrs(path: string): Promise<string> {
  const tar = spawnStream('tar', [
    ...['-C', dirname(path), '--xattrs', '--xattrs-include=*', '--no-recursion', '-cf', '-', basename(path)],
  ]);
  tar.stderr.resume();
  const data = Buffer.concat(await tar.stdout.toArray()).toString('latin1');
  const records = [...data.matchAll(/(\d+) SCHILY\.xattr\.([^=]+)=/g)].map((match) => {
    const [prefix = '', length = '', name = ''] = match;
    const start = match.index + prefix.length;
    const value = data.slice(start, match.index + Number(length) - 1);
    return `${name} ${Buffer.from(value, 'latin1').toString('hex')}\n`;
  });
  return records.sort().join('');
}

async function isWhiteout(path: string): Promise<boolean> {
  const found = await lstat(path);
  return found.isCharacterDevice() && found.rdev === 0;
}

test('owners, modes, times, links and long names come out as the archive says', async (t) => {
  const long = `${'d'.repeat(150)}/${'e'.repeat(200)}/${'f'.repeat(250)}`;
  const { code, stdout, folder } = await unpack(
    t,
    await packTar([
      { name: './', type: 'folder', mode: 0o711, mtime: 77 },
      { name: 'd', type: 'folder', mode: 0o1777, uid: 5, gid: 6, mtime: 1000 },
      file('d/f', 'hello', { mode: 0o6755, uid: 3_000_000, gid: 70_000, mtime: 2000 }),
      { name: 'd/hard', type: 'link', linkName: 'd/f' },
      { name: 'd/absolute', type: 'symlink', linkName: '/etc/passwd' },
      { name: 'd/pipe', type: 'fifo' },
      file(long, 'long'),
      file('nfd-e\u0301 \u00e9', 'names are bytes'),
      { name: 'etc/disk', type: 'block', device: [7, 235] },
    ]),
  );
  assert.equal(code, 0);
  assert.deepEqual(counts(stdout), { bytes: 24, entries: 9 });
  const f = await stat(join(folder, 'd/f'));
  assert.deepEqual(
    [f.mode & 0o7777, f.uid, f.gid, f.mtimeMs, f.nlink],
    [0o6755, 3_000_000, 70_000, 2_000_000, 2],
  );
  const d = await stat(join(folder, 'd'));
  assert.deepEqual([d.mode & 0o7777, d.uid, d.gid, d.mtimeMs], [0o1777, 5, 6, 1_000_000]);
  const root = await stat(folder);
  assert.deepEqual([root.mode & 0o777, root.mtimeMs], [0o711, 77_000]);
  assert.equal(await readlink(join(folder, 'd/absolute')), '/etc/passwd');
  assert.ok((await lstat(join(folder, 'd/pipe'))).isFIFO());
  assert.equal(await readFile(join(folder, long), 'utf8'), 'long');
  assert.ok((await readdir(folder)).includes('nfd-e\u0301 \u00e9'));
  // The host's own device 7:235 would come into being if anything opened it.
  const disk = await lstat(join(folder, 'etc/disk'));
  assert.deepEqual([disk.isBlockDevice(), disk.rdev], [true, 7 * 256 + 235]);
  await assert.rejects(lstat('/sys/block/loop235'), { code: 'ENOENT' });
});

test('file capabilities and user attributes are kept, those that steer overlayfs are dropped', async (t) => {
  const { code, folder } = await unpack(
    t,
    await packTar([
      file('f', 'x', {
        pax: {
          'SCHILY.xattr.user.note': 'hi',
          'SCHILY.xattr.trusted.overlay.redirect': '/etc',
          'SCHILY.xattr.security.capability': '\x01\0\0\x02\0\x20\0\0\0\0\0\0\0\0\0\0\0\0\0\0',
        },
      }),
    ]),
  );
  assert.equal(code, 0);
  assert.equal(
    await xattrs(join(folder, 'f')),
    'security.capability 0100000200200000000000000000000000000000\nuser.note 6869\n',
  );
});

test('a sparse file stays sparse', async (t) => {
  const source = await tempFolder(t);
  await run('truncate', ['-s', '64M', join(source, 'sparse')]);
  await run('tar', ['-C', source, '-S', '-cf', join(source, 'x.tar'), 'sparse']);
  const { folder, stdout } = await unpack(t, await readFile(join(source, 'x.tar')), ['--max-bytes=1000']);
  assert.deepEqual(counts(stdout), { bytes: 0, entries: 1 });
  const found = await stat(join(folder, 'sparse'));
  assert.equal(found.size, 64 << 20);
  assert.ok(found.blocks < 100);
});

test('whiteouts become overlayfs ones and never hide what their own layer has', async (t) => {
  const { code, folder } = await unpack(
    t,
    await packTar([
      file('a/.wh.gone', ''),
      file('a/.wh.later', ''),
      file('a/later', 'here'),
      file('kept/file'),
      file('.wh.kept', ''),
      file('b/.wh..wh..opq', ''),
      file('b/new'),
      file('.wh.folder', ''),
      file('folder/inside'),
      file('.wh..wh.plnk', ''),
    ]),
  );
  assert.equal(code, 0);
  assert.ok(await isWhiteout(join(folder, 'a/gone')));
  assert.equal(await readFile(join(folder, 'a/later'), 'utf8'), 'here');
  const opaque = 'trusted.overlay.opaque 79\n';
  assert.equal(await xattrs(join(folder, 'kept')), opaque);
  assert.equal(await xattrs(join(folder, 'b')), opaque);
  assert.equal(await xattrs(join(folder, 'folder')), opaque);
  assert.equal(await xattrs(join(folder, 'a')), '');
  assert.deepEqual((await readdir(folder)).sort(), ['a', 'b', 'folder', 'kept']);
});

test('a later entry replaces an earlier one of another kind', async (t) => {
  const { code, folder } = await unpack(
    t,
    await packTar([
      file('x/deep/file'),
      file('x', 'now a file'),
      { name: 'y', type: 'symlink', linkName: '/nowhere' },
      { name: 'y', type: 'folder' },
      file('y/z'),
    ]),
  );
  assert.equal(code, 0);
  assert.equal(await readFile(join(folder, 'x'), 'utf8'), 'now a file');
  assert.ok((await lstat(join(folder, 'y'))).isDirectory());
});

test('a symbolic link in the way leads nowhere outside of the layer', async (t) => {
  const outside = await tempFolder(t);
  for (const linkName of [outside, `../../../../../../..${outside}`]) {
    const { folder } = await unpack(
      t,
      await packTar([
        { name: 'evil', type: 'symlink', linkName },
        file('evil/planted'),
        file('evil/.wh.hidden', ''),
      ]),
    );
    assert.deepEqual(await readdir(outside), []);
    assert.ok((await lstat(join(folder, 'evil'))).isSymbolicLink());
  }
});

test('what a layer must not have is refused in one line that names the entry', async (t) => {
  const cases: readonly (readonly [TarInput[], RegExp])[] = [
    [[file('../evil')], /^berth-unpack: \.\.\/evil: the name leads out of the layer/],
    [[file('a/../../b')], /a\/\.\.\/\.\.\/b: the name leads out/],
    [
      [{ name: 'h', type: 'link', linkName: '../../etc/shadow' }],
      /etc\/shadow: the target of the hard link leads out/,
    ],
    [
      [{ name: 'h', type: 'link', linkName: '/etc/shadow' }],
      /h: is a hard link to etc\/shadow, which is not in/,
    ],
    [[{ name: 'dev/w', type: 'char', device: [0, 0] }], /dev\/w: is an overlayfs whiteout device/],
    [[{ name: 'w', type: 'char', device: [0, 0] }], /w: is an overlayfs whiteout device/],
    [[file('.wh...', '')], /the whiteout names nothing/],
    [[file('x'.repeat(256))], /has a part longer than 255 bytes/],
    [[file('d/'.repeat(600))], /more than 512 folders deep/],
    [[file(`${'n'.repeat(200)}/`.repeat(30))], /longer than 4095 bytes/],
    [[file('line\nbreak/../..')], /line\\x0abreak/],
    [[{ name: '.', type: 'symlink', linkName: '/' }], /the root of the layer is not a folder/],
  ];
  for (const [entries, expected] of cases) {
    const { code, stderr, stdout } = await unpack(t, await packTar(entries));
    assert.match(stderr, expected);
    assert.equal(code, 1, stderr);
    assert.equal(stderr.trim().split('\n').length, 1);
    assert.equal(stdout, '');
  }
});

test('limits of bytes and entries hold, and absurd sizes are refused at once', async (t) => {
  const big = await packTar([file('ok', 'x'.repeat(100)), file('big', 'x'.repeat(2000))]);
  const bytes = await unpack(t, big, ['--max-bytes=1000']);
  assert.match(bytes.stderr, /big: exceeds the limit of 1000 unpacked bytes/);
  const entries = await unpack(t, big, ['--max-entries=1']);
  assert.match(entries.stderr, /big: exceeds the limit of 1 entries/);
  const absurd = await packTar([file('absurd', '', { pax: { size: '9000000000000000000' } })]);
  assert.match((await unpack(t, absurd)).stderr, /absurd/);
  const sparse = await packTar([
    file('hole', '', {
      pax: { 'GNU.sparse.major': '1', 'GNU.sparse.minor': '0', 'GNU.sparse.realsize': '9223372036854775807' },
    }),
  ]);
  assert.equal((await unpack(t, sparse)).code, 1);
});

test('truncated and damaged archives are refused wherever they break', async (t) => {
  const tar = await packTar([
    file('one', 'x'.repeat(3000)),
    { name: 'l', type: 'symlink', linkName: 'n'.repeat(300) },
  ]);
  for (const cut of [100, 600, 3000, 4200, 4800]) {
    const { code, stderr } = await unpack(t, tar.subarray(0, cut));
    assert.equal(code, 1, `cut at ${cut}: ${stderr}`);
    assert.equal(stderr.trim().split('\n').length, 1);
  }
  const text = await unpack(t, Buffer.from('just some text, and more than a block of it\n'.repeat(30)));
  assert.match(text.stderr, /not a tar archive/);
});

test('random damage never writes outside, hangs or crashes', async (t) => {
  const tar = await packTar([
    file('a/b', 'y'.repeat(700), { pax: { 'SCHILY.xattr.user.x': '1', path: `a/${'b'.repeat(120)}` } }),
    { name: 'a/link', type: 'symlink', linkName: '/' },
    { name: 'a/hard', type: 'link', linkName: 'a/link' },
    file('a/.wh.c', ''),
  ]);
  let seed = 42;
  const random = (below: number) => {
    seed = (Math.imul(seed, 1103515245) + 12345) >>> 0;
    return (seed >>> 8) % below;
  };
  for (let round = 0; round < 60; round++) {
    const damaged = Buffer.from(tar);
    for (let flips = 1 + random(8); flips > 0; flips--) damaged[random(damaged.length)] = random(256);
    const { code } = await unpack(t, damaged);
    assert.ok(code === 0 || code === 1, `round ${round}: exit ${code}`);
  }
});
