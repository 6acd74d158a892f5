import assert from 'node:assert/strict';
import { chmod, mkdir, mkdtemp, readFile, readlink, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { type TarInput, writeTar } from '../../formats/tar.ts';
import { packPath } from './pack.ts';
import { landing, parsePlace } from './paths.ts';
import { unpackTar } from './unpack.ts';

async function inTemp(use: (dir: string) => Promise<void>): Promise<void> {
  const dir = await mkdtemp(join(tmpdir(), 'berth-copy-'));
  try {
    await use(dir);
  } finally {
    await rm(dir, { recursive: true, force: true });
  }
}

const OPTIONS = { keepOwners: false, makeNode: () => Promise.reject(new Error('not permitted')) };

test('arguments name a workload, the host or standard input and output', () => {
  assert.deepEqual(parsePlace('web:/a:b'), { kind: 'workload', name: 'web', path: '/a:b' });
  assert.deepEqual(parsePlace('./a:b'), { kind: 'host', path: './a:b' });
  assert.deepEqual(parsePlace('/a:b'), { kind: 'host', path: '/a:b' });
  assert.deepEqual(parsePlace('-'), { kind: 'stdio' });
});

test('a copy lands in an existing folder, or takes the name that was given', () => {
  const file = { path: '/s/f', isFolder: false };
  const folder = { path: '/s/d', isFolder: true };
  const contents = { path: '/s/d/.', isFolder: true };
  const there = { path: '/t', exists: true, isFolder: true };
  const absent = { path: '/t/new', exists: false, isFolder: false };
  const aFile = { path: '/t/file', exists: true, isFolder: false };
  assert.deepEqual(landing(file, there), { folder: '/t', name: 'f' });
  assert.deepEqual(landing(folder, there), { folder: '/t', name: 'd' });
  assert.deepEqual(landing(contents, there), { folder: '/t', name: '.' });
  assert.deepEqual(landing(folder, absent), { folder: '/t', name: 'new' });
  assert.deepEqual(landing(file, aFile), { folder: '/t', name: 'file' });
  assert.throws(() => landing(folder, aFile), /over the file/);
  assert.throws(() => landing(file, { ...absent, path: '/t/new/' }), /no such folder/);
});

test('a folder packed and unpacked is the same, modes, links and times included', async () => {
  await inTemp(async (dir) => {
    await mkdir(join(dir, 'a/empty'), { recursive: true });
    await writeFile(join(dir, 'a/f'), 'x'.repeat(100_000));
    await chmod(join(dir, 'a/f'), 0o751);
    await symlink('f', join(dir, 'a/l'));
    await mkdir(join(dir, 'out'));
    const tar = packPath(join(dir, 'a'), { name: 'a', followLink: false, keepOwners: false });
    const landed = { ...OPTIONS, folder: join(dir, 'out'), name: 'b' };
    assert.deepEqual(await unpackTar(tar, landed), { bytes: 100_000, missing: [] });
    assert.equal((await stat(join(dir, 'out/b/f'))).mode & 0o777, 0o751);
    assert.equal((await readFile(join(dir, 'out/b/l'))).length, 100_000);
    assert.equal(await readlink(join(dir, 'out/b/l')), 'f');
    assert((await stat(join(dir, 'out/b/empty'))).isDirectory());
  });
});

const hostile: readonly (readonly [string, readonly TarInput[]])[] = [
  ['a name with ..', [{ name: 'a/../../evil', type: 'file', content: 'x' }]],
  [
    'a file through a link of the archive',
    [
      { name: 'a', type: 'folder' },
      { name: 'a/l', type: 'symlink', linkName: '/tmp' },
      { name: 'a/l/berth-evil', type: 'file', content: 'x' },
    ],
  ],
];

for (const [what, entries] of hostile) {
  test(`unpacking refuses ${what}`, async () => {
    await inTemp(async (dir) => {
      const unpacked = unpackTar(writeTar(entries), { ...OPTIONS, folder: dir, name: 'a' });
      await assert.rejects(unpacked, { name: 'CliError' });
    });
  });
}
