// Pulling from Debian's docker-registry on loopback, plain.

import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { isBerthError, type Progress } from '../../src/core/index.ts';
import { CHANGE, descriptorOf, HELLO, type MadeImage, makeImage, sha256 } from '../fixtures/archives.ts';
import { freePort, pushImage, pushManifest, startRegistry } from '../fixtures/archives-registry.ts';
import { openStore } from '../fixtures/archives-store.ts';

function statuses(lines: readonly Progress[]): string[] {
  return lines.map(({ status, id }) => (id === undefined ? status : `${id}: ${status}`));
}

/** An index of images, each pushed by its digest. */
async function pushIndex(
  origin: string,
  repository: string,
  tag: string,
  images: readonly (readonly [MadeImage, object | undefined])[],
): Promise<string> {
  const mediaType = 'application/vnd.oci.image.index.v1+json';
  for (const [image] of images) await pushImage(origin, repository, image.manifest.digest, image);
  const manifests = images.map(([image, platform]) => ({
    ...descriptorOf(image.manifest),
    ...(platform === undefined ? {} : { platform }),
  }));
  const data = Buffer.from(JSON.stringify({ schemaVersion: 2, mediaType, manifests }));
  await pushManifest(origin, repository, tag, { data, mediaType });
  return sha256(data);
}

async function fails(promise: Promise<unknown>, code: string, message: RegExp): Promise<void> {
  await assert.rejects(promise, (error) => {
    assert.ok(isBerthError(error), String(error));
    assert.match(error.message, message);
    assert.equal(error.code, code);
    return true;
  });
}

test('an image is pulled with its layers, names and the messages that Docker gives', async (t) => {
  const { host, origin } = await startRegistry(t);
  const { store } = await openStore(t);
  for (const docker of [true, false]) {
    const image = await makeImage([HELLO, CHANGE], { docker, config: { User: docker ? 'a' : 'b' } });
    const name = `${host}/team/${docker ? 'docker' : 'oci'}`;
    await pushImage(origin, name.slice(host.length + 1), 'v1', image);
    const lines: Progress[] = [];
    const pulled = await store.pull(`${name}:v1`, { onProgress: (line) => lines.push(line) });
    assert.equal(pulled.id, image.id);
    assert.deepEqual(pulled.tags, [`${name}:v1`]);
    assert.deepEqual(pulled.repoDigests, [`${name}@${image.manifest.digest}`]);
    assert.equal((await store.get(`${name}@${image.manifest.digest}`)).id, image.id);
    const [lower = ''] = await store.layers(pulled);
    assert.equal(await readFile(join(lower, 'hello'), 'utf8'), '#!/bin/sh\necho hello\n');
    const said = statuses(lines);
    assert.equal(said[0], `v1: Pulling from ${name.slice(host.length + 1)}`);
    assert.deepEqual(said.slice(-2), [
      `Digest: ${image.manifest.digest}`,
      `Status: Downloaded newer image for ${name}:v1`,
    ]);
    const layer = image.layers[1]?.digest.slice(7, 19);
    const ofLayer = said.filter((line) => line.startsWith(`${layer}: `)).map((line) => line.slice(14));
    // The layers of both images are the same, but not their media types and so not the blobs' first pull.
    if (docker)
      assert.deepEqual(ofLayer, [
        'Pulling fs layer',
        'Downloading',
        'Verifying Checksum',
        'Download complete',
        'Extracting',
        'Pull complete',
      ]);
    else assert.deepEqual(ofLayer, ['Already exists']);
  }
});

test('pulling again says that the image is up to date, and follows a tag that moved', async (t) => {
  const { host, origin } = await startRegistry(t);
  const { store } = await openStore(t);
  const first = await makeImage([HELLO]);
  const second = await makeImage([HELLO, CHANGE]);
  await pushImage(origin, 'app', 'latest', first);
  const pull = async () => {
    const lines: Progress[] = [];
    const image = await store.pull(`${host}/app`, { onProgress: (line) => lines.push(line) });
    return { image, last: lines.at(-1)?.status, said: statuses(lines) };
  };
  assert.equal((await pull()).last, `Status: Downloaded newer image for ${host}/app:latest`);
  assert.equal((await pull()).last, `Status: Image is up to date for ${host}/app:latest`);
  await pushImage(origin, 'app', 'latest', second);
  const { image, said } = await pull();
  assert.equal(image.id, second.id);
  assert.ok(said.includes(`${second.layers[0]?.digest.slice(7, 19)}: Already exists`));
  assert.deepEqual((await store.get(first.id)).tags, []);
});

test('an index gives the image of the host, or of the platform asked for', async (t) => {
  const { host, origin } = await startRegistry(t);
  const { store } = await openStore(t);
  const amd64 = { os: 'linux', architecture: 'amd64' };
  const arm = { os: 'linux', architecture: 'arm', variant: 'v7' };
  const arm64 = { os: 'linux', architecture: 'arm64', variant: 'v8' };
  const platforms = [arm, arm64, amd64];
  const images = await Promise.all(platforms.map((platform) => makeImage([HELLO], { platform })));
  const digest = await pushIndex(origin, 'multi', '1', [
    ...images.map((image, index) => [image, platforms[index]] as const),
    [await makeImage([CHANGE]), { os: 'unknown', architecture: 'unknown' }],
  ]);
  const here = await store.pull(`${host}/multi:1`, {});
  assert.equal(here.architecture, process.arch === 'x64' ? 'amd64' : process.arch);
  assert.deepEqual(here.repoDigests, [`${host}/multi@${digest}`]);
  for (const [index, text] of ['linux/arm/v7', 'linux/aarch64', 'linux/x86_64'].entries())
    assert.equal((await store.pull(`${host}/multi:1`, { platform: text })).id, images[index]?.id);
  await fails(
    store.pull(`${host}/multi:1`, { platform: 'linux/s390x' }),
    'not-found',
    /no matching manifest for linux\/s390x in the manifest list entries of .*linux\/arm\/v7, linux\/arm64\/v8, linux\/amd64/,
  );
  await fails(store.pull(`${host}/multi:1`, { platform: 'a/b/c/d' }), 'invalid-argument', /not a platform/);
});

test('an image pulled by digest has that digest and no tag', async (t) => {
  const { host, origin } = await startRegistry(t);
  const { store } = await openStore(t);
  const image = await makeImage([HELLO]);
  await pushImage(origin, 'app', 'v1', image);
  const name = `${host}/app@${image.manifest.digest}`;
  const pulled = await store.pull(name, {});
  assert.deepEqual([pulled.tags, pulled.repoDigests], [[], [name]]);
  assert.deepEqual((await store.prune({ all: false })).removed, [], 'an image with a digest is not dangling');
  assert.deepEqual(await store.remove(name, { force: false, noPrune: false }).then((list) => list[0]), {
    untagged: name,
  });
});

test('a single image of another platform is refused when a platform was asked for', async (t) => {
  const { host, origin } = await startRegistry(t);
  const { store, content } = await openStore(t);
  await pushImage(
    origin,
    'app',
    'v1',
    await makeImage([HELLO], { platform: { os: 'linux', architecture: 'arm64' } }),
  );
  await fails(
    store.pull(`${host}/app:v1`, { platform: 'linux/amd64' }),
    'not-found',
    /wanted linux\/amd64, actual: linux\/arm64/,
  );
  assert.deepEqual(await content(), []);
  assert.equal((await store.pull(`${host}/app:v1`, {})).architecture, 'arm64');
});

test('what is not there is said: tag, repository, host, port', async (t: TestContext) => {
  const { host, origin } = await startRegistry(t);
  const { store, content } = await openStore(t);
  await pushImage(origin, 'app', 'v1', await makeImage([HELLO]));
  await fails(
    store.pull(`${host}/app:v2`, {}),
    'not-found',
    /manifest for .*\/app:v2 not found: manifest unknown/,
  );
  await fails(store.pull(`${host}/none`, {}), 'not-found', /manifest for .*\/none:latest not found/);
  const absent = `${host}/app@sha256:${'a'.repeat(64)}`;
  await fails(store.pull(absent, {}), 'not-found', /not found: manifest unknown/);
  await fails(store.pull(`127.0.0.1:${await freePort()}/app`, {}), 'unavailable', /connection refused/);
  await fails(
    store.pull('registry.invalid/app', {}),
    'unavailable',
    /registry registry\.invalid: no such host/,
  );
  await fails(store.pull(`${host}/App`, {}), 'invalid-argument', /must be lowercase/);
  assert.equal((await store.list()).length, 0);
  assert.deepEqual(await content(), []);
});
