// What is wrong with an archive is said clearly, and the store is as it was before, and works.

import assert from 'node:assert/strict';
import { mkdir, readdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { type TestContext, test } from 'node:test';
import { isBerthError } from '../../src/core/index.ts';
import { type TarInput, writeTar } from '../../src/formats/tar.ts';
import { run } from '../../src/host/process.ts';
import {
  CHANGE,
  compress,
  dockerArchive,
  HELLO,
  makeImage,
  ociArchive,
  packTar,
  streamOf,
} from '../fixtures/archives.ts';
import { openStore, type StoreFixture, tempFolder } from '../fixtures/archives-store.ts';

/** A store with one image in it, and a check that it is all there is. */
async function storeWithImage(t: TestContext): Promise<StoreFixture & { unchanged(): Promise<void> }> {
  const fixture = await openStore(t);
  const good = await makeImage([HELLO]);
  await fixture.store.load(streamOf(await packTar(ociArchive([[good, 'good:1']]))), {});
  const before = (await fixture.content()).toSorted();
  const unchanged = async () => {
    assert.deepEqual((await fixture.content()).toSorted(), before);
    assert.deepEqual(
      (await fixture.store.list()).map(({ tags }) => tags),
      [['good:1']],
    );
    assert.deepEqual(await fixture.store.layers(await fixture.store.get('good:1')), [
      join(fixture.root, 'layers', before.filter((name) => name.length < 64)[0] ?? ''),
    ]);
  };
  return { ...fixture, unchanged };
}

async function refuses(t: TestContext, archive: Buffer, expected: RegExp): Promise<void> {
  const { store, unchanged } = await storeWithImage(t);
  await assert.rejects(store.load(streamOf(archive), {}), (error) => {
    assert.ok(isBerthError(error), String(error));
    assert.match(error.message, expected);
    return error.code === 'invalid-argument' || error.code === 'unsupported';
  });
  await unchanged();
}

function replace(entries: readonly TarInput[], name: RegExp, change: Partial<TarInput>): TarInput[] {
  return entries.map((entry) => (name.test(entry.name) ? { ...entry, ...change } : entry));
}

test('a truncated archive is refused, wherever it breaks and however it is compressed', async (t) => {
  const archive = await packTar(
    ociArchive([[await makeImage([HELLO, CHANGE], { packing: 'plain' }), 'x:1']]),
  );
  for (const packing of ['plain', 'gzip', 'zstd'] as const) {
    const packed = compress(archive, packing);
    for (const part of [0.2, 0.5, 0.85])
      await refuses(t, packed.subarray(0, Math.floor(packed.length * part)), /archive/);
  }
});

test('content that is not what its name says is refused', async (t) => {
  const image = await makeImage([HELLO, CHANGE]);
  const layer = new RegExp(image.layers[1]?.digest.slice(7) ?? '');
  const oci = ociArchive([[image, 'x:1']]);
  await refuses(
    t,
    await packTar(replace(oci, layer, { content: compress(Buffer.alloc(1024), 'gzip') })),
    /wrong digest/,
  );
  const docker = dockerArchive([[image, ['x:1']]]);
  const lied = replace(docker, /-1\/layer\.tar/, { content: compress(Buffer.alloc(1024), 'gzip') });
  await refuses(t, await packTar(lied), /layer sha256:[0-9a-f]{64}: wrong digest/);
  const wrongIds = await makeImage([HELLO], { diffIds: [`sha256:${'1'.repeat(64)}`] });
  await refuses(
    t,
    await packTar(ociArchive([[wrongIds, 'x:1']])),
    /wrong digest: its uncompressed content has/,
  );
});

test('an archive with a part missing is refused by the name of the part', async (t) => {
  const image = await makeImage([HELLO, CHANGE]);
  const hex = image.layers[0]?.digest.slice(7) ?? '';
  const oci = ociArchive([[image, 'x:1']]);
  await refuses(
    t,
    await packTar(oci.filter(({ name }) => !name.includes(hex))),
    new RegExp(`needs blobs/sha256/${hex}`),
  );
  const docker = dockerArchive([[image, ['x:1']]]);
  await refuses(
    t,
    await packTar(docker.filter(({ name }) => !name.includes('-0/'))),
    /needs .*-0\/layer\.tar, which is missing/,
  );
  const short = await makeImage([HELLO], { diffIds: image.diffIds });
  await refuses(
    t,
    await packTar(ociArchive([[short, 'x:1']])),
    /the manifest has 1 layers, the configuration 2/,
  );
});

test('what is not an image at all is refused, and told what it is', async (t) => {
  await refuses(t, Buffer.from('hello, this is text and not an archive\n'.repeat(40)), /not a tar archive/);
  await refuses(t, Buffer.alloc(0), /not an image archive/);
  await refuses(t, await packTar(HELLO), /not an image archive: .*use import/);
  await refuses(
    t,
    await packTar([{ name: 'manifest.json', type: 'file', content: '[1, 2' }]),
    /manifest\.json/,
  );
  await refuses(
    t,
    await packTar([{ name: 'manifest.json', type: 'file', content: '[{}]' }]),
    /manifest\.json/,
  );
  await refuses(t, await packTar([{ name: 'manifest.json', type: 'file', content: '[]' }]), /holds no image/);
  await refuses(
    t,
    await packTar([{ name: 'index.json', type: 'file', content: '{}' }]),
    /neither an image manifest/,
  );
  await refuses(t, Buffer.from('BZh91AY&SY-----------------'), /bzip2 compression is not supported/);
  const chart = await makeImage([HELLO]);
  const text = chart.manifest.data
    .toString()
    .replace(/application.vnd.oci.image.layer[^"]*/, 'application/x-chart');
  await refuses(
    t,
    await packTar([{ name: 'index.json', type: 'file', content: text }]),
    /not a container image/,
  );
});

test('paths that lead out are refused, in the archive and in its layers', async (t) => {
  const evil: readonly TarInput[] = [{ name: '../../../etc/evil', type: 'file', content: 'x' }];
  await refuses(
    t,
    await packTar([...evil, ...ociArchive([])]),
    /entry "\.\.\/\.\.\/\.\.\/etc\/evil" leads out/,
  );
  const image = await makeImage([HELLO, evil]);
  await refuses(
    t,
    await packTar(ociArchive([[image, 'x:1']])),
    /layer sha256:[0-9a-f]+: \.\.\/.*leads out of the layer/,
  );
  const whiteout = await makeImage([[{ name: 'w', type: 'char', device: [0, 0] }]]);
  await refuses(t, await packTar(ociArchive([[whiteout, 'x:1']])), /w: is an overlayfs whiteout device/);
});

test('a decompression bomb is stopped by its ratio and by its size', async (t) => {
  async function* zeros(): AsyncGenerator<Buffer> {
    for (let left = 600; left > 0; left--) yield Buffer.alloc(1 << 20);
  }
  for (const packing of ['gzip', 'zstd'] as const) {
    const image = await makeImage([[{ name: 'zeros', type: 'file', content: Buffer.alloc(300 << 20) }]], {
      packing,
    });
    await refuses(t, await packTar(ociArchive([[image, 'x:1']])), /decompression bomb/);
  }
  const limits = { maxBytes: 1 << 20 };
  const { store, content } = await openStore(t, { limits });
  const big = Readable.from(
    writeTar([{ name: 'zeros', type: 'file', content: zeros(), sizeBytes: 600 << 20 }]),
  );
  await assert.rejects(store.import(big, { changes: [] }), /limit of 1048576/);
  assert.deepEqual(await content(), []);
});

test('of an archive with one bad image none is loaded', async (t) => {
  const good = await makeImage([HELLO, CHANGE]);
  const bad = await makeImage([[{ name: '../x', type: 'file' }]]);
  await refuses(
    t,
    await packTar(
      ociArchive([
        [good, 'new:1'],
        [bad, 'bad:1'],
      ]),
    ),
    /leads out/,
  );
});

test('a load that is cancelled or whose source fails leaves nothing', async (t) => {
  const { store, unchanged } = await storeWithImage(t);
  const archive = await packTar(ociArchive([[await makeImage([HELLO, CHANGE]), 'x:1']]));
  const abort = new AbortController();
  async function* slow(): AsyncGenerator<Buffer> {
    yield archive.subarray(0, 3000);
    abort.abort();
    yield archive.subarray(3000);
  }
  await assert.rejects(store.load(Readable.from(slow()), { signal: abort.signal }), (error) =>
    isBerthError(error, 'cancelled'),
  );
  async function* broken(): AsyncGenerator<Buffer> {
    yield archive.subarray(0, 3000);
    throw new Error('the client went away');
  }
  await assert.rejects(store.load(Readable.from(broken()), {}), /the client went away/);
  await unchanged();
});

test('a full disk is said, nothing is left behind, and all works when there is space again', async (t) => {
  const folder = await tempFolder(t);
  const root = join(folder, 'small');
  await mkdir(root);
  await run('mount', ['-t', 'tmpfs', '-o', 'size=2560k', 'tmpfs', root]);
  try {
    const { store, content } = await openStore(t, { root: join(root, 'images') });
    const noise = () => Buffer.from(crypto.getRandomValues(new Uint8Array(60_000)));
    const layer = (count: number): TarInput[] =>
      Array.from({ length: count }, (_, index) => ({ name: `f${index}`, type: 'file', content: noise() }));
    const inBlob = await packTar(ociArchive([[await makeImage([layer(60)]), 'big:1']]));
    await assert.rejects(store.load(streamOf(inBlob), {}), (error) => {
      assert.match(String(error), /no space left on device.*prune/);
      return isBerthError(error, 'exhausted');
    });
    // The blob fits, its unpacked form does not.
    const inLayer = await packTar(ociArchive([[await makeImage([layer(30)]), 'big:1']]));
    await assert.rejects(store.load(streamOf(inLayer), {}), (error) => {
      assert.match(String(error), /layer sha256:.*No space left on device/);
      return isBerthError(error, 'exhausted');
    });
    await assert.rejects(store.createBase({ kind: 'busybox', packages: [], reference: 'b' }), (error) =>
      isBerthError(error, 'exhausted'),
    );
    assert.deepEqual(await content(), []);
    assert.deepEqual(await store.list(), []);
    const small = await packTar(ociArchive([[await makeImage([layer(4)]), 'small:1']]));
    assert.deepEqual(await store.load(streamOf(small), {}), ['Loaded image: small:1']);
    assert.ok((await buffer(await store.save(['small:1']))).length > 0);
    assert.equal((await readdir((await store.layers(await store.get('small:1')))[0] ?? '')).length, 4);
    // Not a byte left: what frees space works nevertheless.
    await assert.rejects(run('dd', ['if=/dev/zero', `of=${join(root, 'fill')}`, 'bs=4k']), /No space left/);
    await assert.rejects(writeFile(join(root, 'more'), 'x'), { code: 'ENOSPC' });
    const { removed } = await store.prune({ all: true });
    assert.equal(removed.length, 2);
    assert.deepEqual(await content(), []);
  } finally {
    await run('umount', ['-l', root]);
    await rm(root, { recursive: true, force: true });
  }
});
