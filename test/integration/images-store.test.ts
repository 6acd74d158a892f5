// The image store from outside: what goes in, what comes out, what is removed and what is not.

import assert from 'node:assert/strict';
import { access, lstat, mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { buffer } from 'node:stream/consumers';
import { test } from 'node:test';
import { isBerthError } from '../../src/core/index.ts';
import { readTar } from '../../src/formats/tar.ts';
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
import { openStore } from '../fixtures/archives-store.ts';

const REMOVE = { force: false, noPrune: false };

test('docker and OCI archives load, with every compression of layers and of the whole', async (t) => {
  for (const packing of ['plain', 'gzip', 'zstd'] as const)
    for (const outer of ['plain', 'gzip', 'zstd'] as const) {
      const { store } = await openStore(t);
      const image = await makeImage([HELLO, CHANGE], { packing });
      const docker = compress(await packTar(dockerArchive([[image, ['demo:1']]])), outer);
      assert.deepEqual(await store.load(streamOf(docker), {}), ['Loaded image: demo:1']);
      const oci = compress(await packTar(ociArchive([[image, 'docker.io/library/other:2']])), outer);
      assert.deepEqual(await store.load(streamOf(oci), {}), ['Loaded image: other:2']);
      const loaded = await store.get('demo:1');
      assert.equal(loaded.id, image.id);
      assert.deepEqual(loaded.tags, ['demo:1', 'other:2']);
      assert.deepEqual(loaded.config.Cmd, ['/hello']);
      assert.deepEqual(
        loaded.layers.map(({ diffId }) => diffId),
        image.diffIds,
      );
      assert.equal(loaded.sizeBytes, 25 + 4);
      const [lower = '', upper = ''] = await store.layers(loaded);
      assert.equal(await readFile(join(lower, 'etc/motd'), 'utf8'), 'one\n');
      assert.ok((await lstat(join(upper, 'etc/motd'))).isCharacterDevice());
    }
});

test('an archive of several images, one of them without a name, loads whole', async (t) => {
  const { store } = await openStore(t);
  const one = await makeImage([HELLO]);
  const two = await makeImage([HELLO, CHANGE]);
  const archive = await packTar(
    ociArchive([
      [one, undefined],
      [two, 'localhost:5000/team/two:x'],
    ]),
  );
  assert.deepEqual(await store.load(streamOf(archive), {}), [
    `Loaded image ID: ${one.id}`,
    'Loaded image: localhost:5000/team/two:x',
  ]);
  assert.equal((await store.list()).length, 2);
  const folders = new Set(
    (await Promise.all((await store.list()).map((image) => store.layers(image)))).flat(),
  );
  assert.equal(folders.size, 2, 'the layer that both have is unpacked once');
});

test('an archive in the old form, whose layers are symbolic links, loads', async (t) => {
  const { store } = await openStore(t);
  const image = await makeImage([HELLO, CHANGE, HELLO], { packing: 'plain' });
  const entries = dockerArchive([[image, ['old:1']]]);
  const first = entries[1];
  const linked = entries.map((entry, index) =>
    index === 3 && first !== undefined
      ? { name: entry.name, type: 'symlink' as const, linkName: `../${first.name}` }
      : entry,
  );
  assert.deepEqual(await store.load(streamOf(await packTar(linked)), {}), ['Loaded image: old:1']);
  assert.equal((await store.get('old:1')).layers.length, 3);
  // overlayfs refuses the same folder twice; the upper one of two says it all.
  assert.equal((await store.layers(await store.get('old:1'))).length, 2);
});

test('a nested index gives the image of this platform and no attestation', async (t) => {
  const { store } = await openStore(t);
  const here = await makeImage([HELLO]);
  const other = await makeImage([CHANGE], { platform: { os: 'linux', architecture: 's390x' } });
  const entries = ociArchive([
    [here, undefined],
    [other, undefined],
  ]);
  const describe = (image: typeof here, architecture: string) => ({
    mediaType: image.manifest.mediaType,
    digest: image.manifest.digest,
    size: image.manifest.data.length,
    platform: { os: architecture === 'unknown' ? 'unknown' : 'linux', architecture },
  });
  const host = process.arch === 'x64' ? 'amd64' : process.arch;
  const index = JSON.stringify({
    schemaVersion: 2,
    manifests: [describe(other, 's390x'), describe(other, 'unknown'), describe(here, host)],
  });
  const withIndex = entries.map((entry) =>
    entry.name === 'index.json' ? { ...entry, content: index } : entry,
  );
  await store.load(streamOf(await packTar(withIndex)), {});
  assert.deepEqual(
    (await store.list()).map(({ id }) => id),
    [here.id],
  );
});

test('a saved archive is complete, loads elsewhere and keeps every digest', async (t) => {
  const { store } = await openStore(t);
  const one = await makeImage([HELLO], { packing: 'zstd' });
  const two = await makeImage([HELLO, CHANGE]);
  await store.load(
    streamOf(
      await packTar(
        ociArchive([
          [one, 'a:1'],
          [two, 'b:1'],
        ]),
      ),
    ),
    {},
  );
  await store.tag('a:1', 'a:2');
  const saved = await buffer(await store.save(['a', 'b:1', two.id]));
  const names: string[] = [];
  for await (const entry of readTar(streamOf(saved))) names.push(entry.name);
  assert.ok(names.includes('manifest.json') && names.includes('index.json') && names.includes('oci-layout'));

  const other = await openStore(t);
  assert.deepEqual([...(await other.store.load(streamOf(saved), {}))].sort(), [
    'Loaded image: a:1',
    'Loaded image: a:2',
    'Loaded image: b:1',
  ]);
  for (const name of ['a:1', 'a:2', 'b:1'])
    assert.equal((await other.store.get(name)).manifestDigest, (await store.get(name)).manifestDigest);
  await assert.rejects(store.save(['nothing']), /No such image: nothing:latest/);
});

test('the busybox image is the same each time and runs', async (t) => {
  const first = await openStore(t);
  const second = await openStore(t);
  const image = await first.store.createBase({ kind: 'busybox', packages: [] });
  const again = await second.store.createBase({ kind: 'busybox', packages: [], reference: 'mine:1' });
  assert.equal(again.id, image.id);
  assert.equal(again.manifestDigest, image.manifestDigest);
  assert.deepEqual([image.tags, again.tags], [['busybox:latest'], ['mine:1']]);
  assert.deepEqual(image.config.Cmd, ['sh']);
  const [root = ''] = await first.store.layers(image);
  assert.ok((await readdir(join(root, 'bin'))).length > 50);
  await access(join(root, 'bin/sh'));
  await access(join(root, 'usr/bin/awk'));
  await assert.rejects(
    first.store.createBase({ kind: 'busybox', packages: ['nginx'] }),
    /a busybox image has no packages/,
  );
});

test('an imported root file system becomes an image with the changes asked for', async (t) => {
  const { store } = await openStore(t);
  const tar = compress(await packTar(HELLO), 'zstd');
  const image = await store.import(streamOf(tar), {
    reference: 'team/root:1',
    message: 'by hand',
    changes: ['CMD ["/hello"]', 'ENV A=1', 'EXPOSE 80'],
    platform: 'linux/arm64/v8',
  });
  assert.deepEqual(image.tags, ['team/root:1']);
  assert.deepEqual(image.config, { Cmd: ['/hello'], Env: ['A=1'], ExposedPorts: { '80/tcp': {} } });
  assert.deepEqual(
    [image.architecture, image.variant, image.history[0]?.comment],
    ['arm64', 'v8', 'by hand'],
  );
  await assert.rejects(store.import(streamOf(Buffer.from('no tar')), { changes: [] }), /not a tar archive/);
});

test('an image is found by name, tag, digest, id and prefix, and only by what is unambiguous', async (t) => {
  const { store } = await openStore(t);
  const image = await makeImage([HELLO]);
  await store.load(streamOf(await packTar(ociArchive([[image, 'docker.io/library/demo:latest']]))), {});
  const hex = image.id.slice(7);
  const forms = ['demo', 'demo:latest', 'docker.io/library/demo', image.id, hex, hex.slice(0, 6)];
  for (const form of [...forms, `sha256:${hex.slice(0, 8)}`, `demo@${image.manifest.digest}`])
    assert.equal((await store.get(form)).id, image.id, form);
  for (const wrong of ['other', 'demo:2', 'f'.repeat(64), `other@${image.manifest.digest}`])
    await assert.rejects(store.get(wrong), (error) => isBerthError(error, 'not-found'), wrong);
  await assert.rejects(store.get('Demo'), /must be lowercase/);
  await store.tag('demo', hex.slice(0, 6));
  const other = await makeImage([CHANGE]);
  await store.load(
    streamOf(await packTar(ociArchive([[other, `docker.io/library/${hex.slice(0, 6)}:latest`]]))),
    {},
  );
  assert.equal((await store.get(hex.slice(0, 6))).id, other.id, 'a name wins over a prefix');
});

test('names are removed one by one, the image with its last one, by the rules of Docker', async (t) => {
  const { store, content } = await openStore(t);
  const image = await makeImage([HELLO, CHANGE]);
  await store.load(streamOf(await packTar(ociArchive([[image, 'docker.io/library/demo:1']]))), {});
  await store.tag('demo:1', 'demo:2');
  await store.tag('demo:1', 'localhost:5000/demo');
  assert.deepEqual(await store.remove('demo:2', REMOVE), [{ untagged: 'demo:2' }]);
  await assert.rejects(
    store.remove(image.id.slice(7, 19), REMOVE),
    /conflict: unable to delete [0-9a-f]{12} \(must be forced\) - image is referenced in multiple repositories/,
  );
  assert.deepEqual(await store.remove('localhost:5000/demo', REMOVE), [
    { untagged: 'localhost:5000/demo:latest' },
  ]);
  const removed = await store.remove(image.id.slice(7, 19), REMOVE);
  assert.deepEqual(removed.slice(0, 2), [{ untagged: 'demo:1' }, { deleted: image.id }]);
  assert.equal(removed.length, 4, 'both layers are deleted with it');
  assert.deepEqual(await content(), []);
  await assert.rejects(store.remove('demo:1', REMOVE), /No such image: demo:1/);
});

test('what a workload uses is not removed: not by name, not by id, not by prune', async (t) => {
  const { store, used, content } = await openStore(t);
  const image = await makeImage([HELLO]);
  await store.load(streamOf(await packTar(ociArchive([[image, 'docker.io/library/demo:1']]))), {});
  used.set(image.id, ['abcdef0123456789']);
  await assert.rejects(
    store.remove('demo:1', REMOVE),
    /conflict: unable to remove repository reference "demo:1" \(must force\) - container abcdef012345 is using its referenced image/,
  );
  await assert.rejects(store.remove(image.id, REMOVE), /image is being used by container abcdef012345/);
  assert.deepEqual(await store.remove('demo:1', { force: true, noPrune: false }), [{ untagged: 'demo:1' }]);
  assert.deepEqual(await store.prune({ all: true }), { removed: [], reclaimedBytes: 0 });
  await access((await store.layers(await store.get(image.id)))[0] ?? '');
  used.clear();
  const { removed, reclaimedBytes } = await store.prune({ all: false });
  assert.deepEqual(removed, [{ deleted: image.id }]);
  assert.ok(reclaimedBytes > 0);
  assert.deepEqual(await content(), []);
});

test('an image that comes into use while it is removed keeps its layers', async (t) => {
  const { store, used } = await openStore(t);
  const image = await makeImage([HELLO]);
  await store.load(streamOf(await packTar(ociArchive([[image, 'docker.io/library/demo:1']]))), {});
  const before = await store.layers(await store.get('demo:1'));
  const removing = store.remove('demo:1', REMOVE);
  // As the engine does: found first, then said to be in use.
  const found = await store.get('demo:1');
  used.set(found.id, ['web']);
  assert.deepEqual(await removing, [{ untagged: 'demo:1' }]);
  assert.deepEqual(await store.layers(found), before);
  await access(before[0] ?? '');
  used.clear();
  assert.deepEqual((await store.prune({ all: false })).removed, [{ deleted: image.id }]);
});

test('prune takes images without a name, or all that nothing uses', async (t) => {
  const { store } = await openStore(t);
  const one = await makeImage([HELLO]);
  const two = await makeImage([CHANGE]);
  await store.load(streamOf(await packTar(ociArchive([[one, 'docker.io/library/demo:1']]))), {});
  await store.load(streamOf(await packTar(ociArchive([[two, 'docker.io/library/demo:1']]))), {});
  assert.deepEqual((await store.get(one.id)).tags, [], 'the tag moved to the newer image');
  assert.deepEqual((await store.prune({ all: false })).removed, [{ deleted: one.id }]);
  assert.deepEqual((await store.prune({ all: true })).removed, [{ untagged: 'demo:1' }, { deleted: two.id }]);
  assert.deepEqual(await store.diskUsage(), { layersBytes: 0 });
});

test('the next daemon finds every image, and nothing of what a crash left half done', async (t) => {
  const { store, reopen, root, content } = await openStore(t);
  const image = await makeImage([HELLO, CHANGE]);
  await store.load(streamOf(await packTar(ociArchive([[image, 'docker.io/library/demo:1']]))), {});
  const before = await content();
  await mkdir(join(root, 'work/layer-half/etc'), { recursive: true });
  await writeFile(join(root, 'work/blob-half'), 'half');
  await mkdir(join(root, 'layers/nobody'));
  await writeFile(join(root, 'layer-records/orphan.json'), '{"name":"orphan"}');
  await writeFile(join(root, 'index.json.123.tmp'), '{');
  await writeFile(join(root, `blobs/sha256/${'0'.repeat(64)}`), 'of a pull that never ended');
  const next = await reopen();
  assert.equal((await next.get('demo:1')).id, image.id);
  assert.deepEqual(await content(), before);
  assert.deepEqual(
    (await readdir(root)).filter((name) => name.endsWith('.tmp')),
    [],
  );
  assert.ok(!(await readdir(join(root, 'layer-records'))).includes('orphan.json'));
  assert.ok(!(await readdir(join(root, 'work'))).includes('blob-half'));
});

test('a layer whose folder was lost is unpacked again when it is needed', async (t) => {
  const { store, reopen, root } = await openStore(t);
  const image = await makeImage([HELLO]);
  await store.load(streamOf(await packTar(ociArchive([[image, 'docker.io/library/demo:1']]))), {});
  for (const name of await readdir(join(root, 'layer-records')))
    await writeFile(join(root, 'layer-records', name), 'damaged');
  const next = await reopen();
  const [folder = ''] = await next.layers(await next.get('demo:1'));
  assert.equal(await readFile(join(folder, 'etc/motd'), 'utf8'), 'one\n');
});

test('asking for the layers of an image that is ready costs no file system work', async (t) => {
  const { store } = await openStore(t);
  const image = await makeImage([HELLO, CHANGE]);
  await store.load(streamOf(await packTar(ociArchive([[image, 'docker.io/library/demo:1']]))), {});
  const started = performance.now();
  for (let round = 0; round < 1000; round++) await store.layers(await store.get('demo:1'));
  const microseconds = performance.now() - started;
  assert.ok(microseconds < 200, `${microseconds} us for one get and layers`);
});

test('folder names of layers are short enough for 125 of them in one mount page', async (t) => {
  const { store } = await openStore(t);
  const image = await makeImage(
    Array.from({ length: 125 }, (_, index) => [{ name: `f${index}`, type: 'file' as const }]),
  );
  await store.load(streamOf(await packTar(ociArchive([[image, 'docker.io/library/tall:1']]))), {});
  const names = (await store.layers(await store.get('tall:1'))).map((path) =>
    path.slice(path.lastIndexOf('/') + 1),
  );
  assert.equal(names.length, 125);
  assert.ok(names.join(':').length < 1100);
});
