// Archives between Berth and podman, both ways.

import assert from 'node:assert/strict';
import { createReadStream, createWriteStream } from 'node:fs';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { test } from 'node:test';
import { run } from '../../src/host/process.ts';
import { CHANGE, HELLO, makeImage, ociArchive, packTar, streamOf } from '../fixtures/archives.ts';
import { openStore, tempFolder } from '../fixtures/archives-store.ts';

test('podman takes what we save, as Docker and as OCI archive, and we take what it saves', async (t) => {
  const folder = await tempFolder(t);
  const podman = async (...args: string[]) => {
    const place = [
      '--root',
      join(folder, 'root'),
      '--runroot',
      join(folder, 'run'),
      '--storage-driver',
      'vfs',
    ];
    return (await run('podman', [...place, ...args])).stdout;
  };
  const { store } = await openStore(t);
  await store.createBase({ kind: 'busybox', packages: [] });
  for (const packing of ['plain', 'gzip', 'zstd'] as const) {
    const image = await makeImage([HELLO, CHANGE], { packing, config: { User: packing } });
    await store.load(streamOf(await packTar(ociArchive([[image, `docker.io/library/demo:${packing}`]]))), {});
  }
  for (const [index, name] of ['busybox:latest', 'demo:plain', 'demo:gzip', 'demo:zstd'].entries()) {
    const { id } = await store.get(name);
    const ours = join(folder, `ours-${index}.tar`);
    await pipeline(await store.save([name]), createWriteStream(ours));
    assert.match(await podman('load', '-q', '-i', ours), new RegExp(`docker\\.io/library/${name}`));
    assert.equal((await podman('images', '-q', '--no-trunc', name)).trim(), id);
    assert.equal((await podman('pull', '-q', `oci-archive:${ours}`)).trim(), id.slice('sha256:'.length));
    // podman itself knows no zstd in a docker-archive.
    for (const format of name.endsWith('zstd') ? ['oci-archive'] : ['docker-archive', 'oci-archive']) {
      const theirs = join(folder, `theirs-${index}-${format}.tar`);
      await podman('save', '-q', '--format', format, '-o', theirs, name);
      const other = await openStore(t);
      assert.deepEqual(await other.store.load(createReadStream(theirs), {}), [`Loaded image: ${name}`]);
      // A docker-archive holds the configuration as it is; both hold the same layers.
      const [loaded] = await other.store.list();
      assert.deepEqual(
        loaded?.layers.map(({ diffId }) => diffId),
        (await store.get(name)).layers.map(({ diffId }) => diffId),
      );
    }
  }
});
