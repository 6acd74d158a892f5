// The root file system of an image, path by path, in a container and in a VM: both are what the layers mean together by
// the OCI image specification, whatever overlayfs would make of them.

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { access, mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import type { TarInput } from '../../src/formats/tar.ts';
import { dockerArchive, makeImage, packTar } from '../fixtures/archives.ts';
import { CliHost } from '../fixtures/cli.ts';
import { expectedListing } from '../fixtures/image-model.ts';

const SOURCE = join(import.meta.dirname, '../fixtures/listing.c');
const CAPABILITY = '\x01\0\0\x02\0\x20\0\0\0\0\0\0\0\0\0\0\0\0\0\0';

let host: CliHost;
let listing: Buffer;
before(async () => {
  host = await CliHost.open();
  execFileSync('musl-gcc', ['-static', '-Os', '-o', join(host.root, 'listing'), SOURCE]);
  listing = await readFile(join(host.root, 'listing'));
});
after(async () => {
  assert.deepEqual(await host.close(), []);
});

const file = (name: string, more: Partial<TarInput> = {}): TarInput => ({
  name,
  type: 'file',
  content: `content of ${name}`,
  mtime: 1_000_000_000,
  ...more,
});
const folder = (name: string, more: Partial<TarInput> = {}): TarInput => ({
  name,
  type: 'folder',
  mtime: 1_100_000_000,
  ...more,
});
const gone = (name: string) => file(name, { content: '' });

/** Entries with which a root can print itself, and in which the start makes nothing. */
const bones = (): TarInput[] => [
  folder('./', { mode: 0o711, mtime: 1_200_000_000, pax: { 'SCHILY.xattr.user.root': 'r' } }),
  ...['dev', 'proc', 'sys', 'etc'].map((name) => folder(name)),
  ...['hosts', 'hostname', 'resolv.conf'].map((name) => file(`etc/${name}`, { content: '' })),
  file('list', { content: listing, mode: 0o755 }),
];

const BELOW: readonly TarInput[] = [
  folder('data', { mode: 0o700, uid: 1000, gid: 1001, pax: { 'SCHILY.xattr.user.of': 'data' } }),
  file('data/first', {
    mode: 0o6755,
    uid: 3_000_000,
    pax: { 'SCHILY.xattr.security.capability': CAPABILITY },
  }),
  folder('tmp', { mode: 0o1777 }),
  folder('deep', { mode: 0o750, uid: 7 }),
  folder('deep/a', { mode: 0o705, gid: 8 }),
  folder('deep/a/b', { mode: 0o2770, mtime: 1 }),
  file('deep/a/b/c'),
  folder('emptied', { mode: 0o751, uid: 9 }),
  file('emptied/one'),
  folder('emptied/two'),
  folder('anew', { mode: 0o700, uid: 10 }),
  file('anew/old'),
  folder('gone'),
  file('gone/inside'),
  folder('becomes-file'),
  file('becomes-file/x'),
  file('becomes-folder'),
  file('was-file'),
  file('linked'),
  { name: 'hard', type: 'link', linkName: 'linked' },
  { name: 'absolute', type: 'symlink', linkName: '/etc/nowhere', mtime: 5, uid: 4 },
  { name: 'pipe', type: 'fifo', mode: 0o622, mtime: 6 },
  { name: 'char', type: 'char', device: [1, 7], mode: 0o666, mtime: 7 },
  { name: 'disk', type: 'block', device: [7, 203], mode: 0o660, mtime: 8 },
  file('before-1970', { mtime: 0, pax: { mtime: '-86400' } }),
  file('implied/by/all'),
];

const ABOVE: readonly TarInput[] = [
  file('data/second'),
  file('tmp/x'),
  file('deep/a/b/new'),
  file('deep/later'),
  gone('emptied/.wh..wh..opq'),
  gone('anew/.wh.never'),
  file('anew/young'),
  gone('.wh.anew'),
  gone('.wh.gone'),
  gone('gone/.wh.inside'),
  gone('carrier/of/.wh.nothing'),
  folder('app', { mode: 0o701 }),
  gone('app/.wh.ghost'),
  file('app/a'),
  folder('opaque', { mode: 0o710 }),
  gone('opaque/.wh..wh..opq'),
  gone('opaque/.wh.ghost'),
  file('opaque/new'),
  file('becomes-file'),
  folder('becomes-folder', { mode: 0o500 }),
  file('becomes-folder/in'),
  gone('.wh.was-file'),
  file('was-file/now/a-folder'),
  file('implied/by/both'),
];

async function roots(layers: readonly (readonly TarInput[])[], tag: string): Promise<void> {
  const archive = join(host.root, `${tag}.tar`);
  const image = await makeImage(layers, { config: { Cmd: ['/list'] } });
  await writeFile(archive, await packTar(dockerArchive([[image, [tag]]])));
  await host.ok('load', '-q', '-i', archive);
  const expected = expectedListing(layers);
  const run = async (isolation: string) =>
    (await host.ok('run', '--rm', '--network', 'none', '--isolation', isolation, tag)).trimEnd().split('\n');
  const [container, vm] = await Promise.all([run('container'), run('vm')]);
  assert.deepEqual({ container, vm }, { container: expected, vm: expected });
}

test('folders that layers leave out, whiteouts and opaque folders are in both what they are by the specification', async () => {
  await roots([[...bones(), ...BELOW], ABOVE], 'odd:1');
});

test('a layer that is shared has in each image the folders of the layers below it there', async () => {
  const other: TarInput[] = [
    file('remains-of-the-first', {}),
    gone('.wh..wh..opq'),
    ...bones(),
    folder('data', { mode: 0o755, uid: 77 }),
    folder('carrier', { mode: 0o711 }),
    folder('carrier/of', { mode: 0o700 }),
    file('carrier/of/nothing'),
  ];
  await roots([[file('hidden/by-the-root'), folder('data')], other, ABOVE], 'odd:2');
});

const shell = async (): Promise<TarInput[]> => [
  ...bones().filter(({ name }) => !name.startsWith('etc/')),
  folder('tmp', { mode: 0o1777 }),
  folder('bin'),
  file('bin/busybox', { content: await readFile('/bin/busybox'), mode: 0o755 }),
  ...['sh', 'cat', 'id', 'ls', 'mkfifo', 'rm', 'sleep', 'stat'].map(
    (name): TarInput => ({ name: `bin/${name}`, type: 'symlink', linkName: 'busybox' }),
  ),
  file('etc/passwd', { content: 'root:x:0:0::/:/bin/sh\n' }),
  file('etc/group', { content: 'root:x:0:\n' }),
];
const link = (name: string, linkName: string): TarInput => ({ name, type: 'symlink', linkName });

/** Runs in both isolations at once; what each printed. */
async function both(flags: readonly string[], ...command: readonly string[]): Promise<string[]> {
  const run = (isolation: string) =>
    host.ok('run', '--rm', '--network', 'none', '--isolation', isolation, ...flags, ...command);
  return Promise.all([run('container'), run('vm')]);
}

test('mount points that are links lie where these lead, inside of the root, and are made there', async () => {
  const layer = [
    ...(await shell()),
    link('etc/hosts', '/run/nowhere/hosts'),
    link('etc/hostname', '../../../../../../other/name'),
    link('etc/resolv.conf', 'a-link'),
    link('etc/a-link', '/../../run/resolv.conf'),
    folder('real'),
    file('real/f', { content: 'old' }),
    file('other/name', { content: 'not seen' }),
    link('folder', '/real/../real'),
    link('some-file', '../../../../real/f'),
    link('dangling', '/no/where'),
    link('far', '../../../../../../../../tmp/berth-far/deep'),
    link('turn', 'turn'),
  ];
  const archive = join(host.root, 'links.tar');
  const image = await makeImage([layer], { config: { Env: ['PATH=/bin'] } });
  await writeFile(archive, await packTar(dockerArchive([[image, ['links:1']]])));
  await host.ok('load', '-q', '-i', archive);
  const source = join(host.root, 'source');
  await mkdir(source);
  await writeFile(join(source, 'f'), 'new\n');
  const mounts = ['/folder', '/dangling', '/far'].flatMap((target) => ['-v', `${source}:${target}`]);
  const script = [
    'set -e; ls -ld /dangling | while read _ _ _ _ _ _ _ _ line; do echo "$line"; done',
    'cat /real/f /no/where/f /tmp/berth-far/deep/f /some-file; for f in /other/name /run/nowhere/hosts /run/resolv.conf; do [ -f $f ] && echo made; done',
    'cat /etc/hostname; for f in hosts hostname resolv.conf; do echo x 2>/dev/null >/etc/$f && echo "$f is writable"; done; true',
  ];
  const expected = `/dangling -> /no/where\n${'new\n'.repeat(4)}${'made\n'.repeat(3)}named\n`;
  const flags = ['-h', 'named', ...mounts, '-v', `${source}/f:/some-file`, '--read-only'];
  assert.deepEqual(await both(flags, 'links:1', 'sh', '-c', script.join('; ')), [expected, expected]);
  await assert.rejects(access('/tmp/berth-far'), { code: 'ENOENT' });
  for (const isolation of ['container', 'vm']) {
    const turning = await host.run(
      'run',
      '--rm',
      '--isolation',
      isolation,
      '-v',
      `${source}:/turn`,
      'links:1',
      'ls',
    );
    assert.notEqual(turning.code, 0);
    assert.match(turning.stderr, /turn.*symbolic link/i);
  }
});

test('users are those of the files that are mounted, and a pipe in their place is an error at once', async () => {
  await writeFile(join(host.root, 'passwd'), 'shuffle:x:5563:2222::/home/s:/bin/sh\n');
  await writeFile(join(host.root, 'group'), 'spark:x:2222:\nmore:x:2223:shuffle\n');
  const flags = ['passwd', 'group'].flatMap((name) => ['-v', `${join(host.root, name)}:/etc/${name}`]);
  const expected = 'uid=5563(shuffle) gid=2222(spark) groups=2222(spark),2223(more)\n';
  for (const user of ['shuffle', '5563'])
    assert.deepEqual(await both(['-u', user, ...flags], 'links:1', 'id'), [expected, expected]);
  const name = 'piped';
  await host.ok('run', '-d', '--network', 'none', '--name', name, 'links:1', 'sleep', '600');
  await host.ok('exec', name, 'sh', '-c', 'rm /etc/passwd /etc/group; mkfifo /etc/passwd /etc/group');
  assert.equal(await host.ok('exec', '-u', '7', name, 'stat', '-Lc', '%u', '/proc/self'), '7\n');
  const unknown = await host.run('exec', '-u', 'shuffle', name, 'id');
  assert.notEqual(unknown.code, 0);
  assert.match(unknown.stderr, /unable to find user shuffle/);
  await host.ok('rm', '-f', name);
});
