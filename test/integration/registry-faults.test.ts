// Pulling through a bad line: connections that drop, content that is wrong, daemons that die, several at once.

import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { isBerthError } from '../../src/core/index.ts';
import type { TarInput } from '../../src/formats/tar.ts';
import { spawnStream } from '../../src/host/process.ts';
import { HELLO, type MadeImage, makeImage } from '../fixtures/archives.ts';
import { type RegistryProxy, startProxy } from '../fixtures/archives-proxy.ts';
import { call, pushImage, startRegistry } from '../fixtures/archives-registry.ts';
import { openStore, UNPACK_PATH } from '../fixtures/archives-store.ts';

const NOISE: readonly TarInput[] = [
  {
    name: 'noise',
    type: 'file',
    content: Buffer.concat(
      Array.from({ length: 64 }, () => Buffer.from(crypto.getRandomValues(new Uint8Array(1 << 15)))),
    ),
  },
];

interface Line {
  readonly proxy: RegistryProxy;
  readonly image: MadeImage;
  readonly reference: string;
  /** Digest of the large layer. */
  readonly big: string;
}

async function pushBehindProxy(t: TestContext): Promise<Line> {
  const { host, origin } = await startRegistry(t);
  const image = await makeImage([HELLO, NOISE], { packing: 'plain' });
  await pushImage(origin, 'app', 'v1', image);
  const proxy = await startProxy(t, host);
  return { proxy, image, reference: `${proxy.host}/app:v1`, big: image.layers[1]?.digest ?? '' };
}

test('a connection that drops in a layer is taken up where it broke', async (t) => {
  const { proxy, image, reference, big } = await pushBehindProxy(t);
  let drops = 3;
  proxy.disturb = ({ path }, response, upstream) => {
    if (!path.endsWith(big) || drops-- <= 0) return false;
    response.writeHead(upstream.statusCode ?? 0, upstream.headers);
    let sent = 0;
    upstream.on('data', (chunk: Buffer) => {
      sent += chunk.length;
      response.write(chunk);
      if (sent > 300_000) response.destroy();
    });
    return true;
  };
  const { store } = await openStore(t);
  assert.equal((await store.pull(reference, {})).id, image.id);
  const ranges = proxy.seen.filter(({ path }) => path.endsWith(big)).map(({ range }) => range);
  assert.equal(ranges.length, 4);
  assert.equal(ranges[0], undefined);
  const offsets = ranges.slice(1).map((range) => Number(/^bytes=(\d+)-$/.exec(range ?? '')?.[1]));
  assert.ok(
    offsets.every((offset, index) => offset > (offsets[index - 1] ?? 0)),
    offsets.join(),
  );
});

test('a server that knows no ranges is put up with', async (t) => {
  const { proxy, image, reference, big } = await pushBehindProxy(t);
  let dropped = false;
  proxy.disturb = ({ path, range }, response, upstream) => {
    if (!path.endsWith(big)) return false;
    if (range !== undefined) {
      // Everything, from the start, as if no range had been asked for.
      upstream.destroy();
      const data = image.layers[1]?.data ?? Buffer.alloc(0);
      response.writeHead(200, { 'content-length': data.length }).end(data);
      return true;
    }
    if (dropped) return false;
    dropped = true;
    response.writeHead(200, upstream.headers);
    upstream.once('data', (chunk: Buffer) => response.write(chunk, () => response.destroy()));
    return true;
  };
  const { store } = await openStore(t);
  assert.equal((await store.pull(reference, {})).id, image.id);
});

test('a registry that is busy for a moment is asked again', async (t) => {
  const { proxy, image, reference } = await pushBehindProxy(t);
  let refusals = 2;
  proxy.disturb = ({ path }, response, upstream) => {
    if (!path.includes('/blobs/') || refusals-- <= 0) return false;
    upstream.resume();
    response.writeHead(503).end();
    return true;
  };
  const { store } = await openStore(t);
  assert.equal((await store.pull(reference, {})).id, image.id);
});

test('content with another digest is refused, and nothing of the pull is kept', async (t) => {
  const { proxy, reference, big } = await pushBehindProxy(t);
  proxy.disturb = ({ path }, response, upstream) => {
    if (!path.endsWith(big)) return false;
    response.writeHead(200, upstream.headers);
    upstream.on('data', (chunk: Buffer) => {
      chunk[0] = (chunk[0] ?? 0) ^ 1;
      response.write(chunk);
    });
    upstream.on('end', () => response.end());
    return true;
  };
  const { store, content } = await openStore(t);
  await assert.rejects(store.pull(reference, {}), /blob sha256:.*wrong digest: expected/);
  assert.deepEqual(await content(), []);
  proxy.disturb = () => false;
  assert.ok(await store.pull(reference, {}));
});

test('a pull can be cancelled at any time, and the next one works', async (t) => {
  const { proxy, image, reference, big } = await pushBehindProxy(t);
  const { store, content } = await openStore(t);
  for (const where of ['/v2/', '/manifests/', image.id, big]) {
    const abort = new AbortController();
    proxy.disturb = ({ path }) => {
      if (!path.endsWith(where) && !path.includes(`${where}v1`)) return false;
      abort.abort();
      return true;
    };
    await assert.rejects(store.pull(reference, { signal: abort.signal }), (error) =>
      isBerthError(error, 'cancelled'),
    );
    assert.deepEqual(await content(), [], where);
  }
  proxy.disturb = () => false;
  assert.ok(await store.pull(reference, {}));
});

test('two pulls of an image at once download each blob once, and one may leave', async (t) => {
  const { proxy, image, reference, big } = await pushBehindProxy(t);
  const { store } = await openStore(t);
  const abort = new AbortController();
  const held: (() => void)[] = [];
  proxy.disturb = ({ path }, response, upstream) => {
    if (!path.endsWith(big)) return false;
    held.push(() => {
      response.writeHead(upstream.statusCode ?? 0, upstream.headers);
      upstream.pipe(response);
    });
    return true;
  };
  const first = store.pull(reference, { signal: abort.signal });
  const reached = Promise.withResolvers<void>();
  const second = store.pull(reference, {
    onProgress: ({ status }) => {
      if (status === 'Pulling fs layer') reached.resolve();
    },
  });
  const third = store.pull(reference, {});
  await reached.promise;
  abort.abort();
  await assert.rejects(first, (error) => isBerthError(error, 'cancelled'));
  proxy.disturb = () => false;
  for (const release of held) release();
  assert.deepEqual([(await second).id, (await third).id], [image.id, image.id]);
  for (const { digest } of [image.config, ...image.layers])
    assert.ok(proxy.blobRequests(digest) <= (digest === big ? 2 : 1), `${digest} was asked for too often`);
});

test('removing and pruning while a pull runs takes nothing from it', async (t) => {
  const { proxy, image, reference, big } = await pushBehindProxy(t);
  const { store } = await openStore(t);
  const other = await makeImage([HELLO], { packing: 'plain', config: { User: 'other' } });
  await pushImage(`http://${proxy.host}`, 'other', 'v1', other);
  await store.pull(`${proxy.host}/other:v1`, {});
  const held = Promise.withResolvers<() => void>();
  proxy.disturb = ({ path, method }, response, upstream) => {
    if (!path.endsWith(big) || method !== 'GET') return false;
    held.resolve(() => {
      response.writeHead(upstream.statusCode ?? 0, upstream.headers);
      upstream.pipe(response);
    });
    return true;
  };
  const pulling = store.pull(reference, {});
  const release = await held.promise;
  // The layer that both share is in use by nothing but the pull now.
  await store.remove(`${proxy.host}/other:v1`, { force: false, noPrune: false });
  await store.prune({ all: true });
  release();
  const pulled = await pulling;
  assert.equal(pulled.id, image.id);
  assert.equal((await store.layers(pulled)).length, 2);
});

test('a daemon killed in a pull leaves nothing that the next one keeps', async (t) => {
  const { proxy, reference, big, image } = await pushBehindProxy(t);
  const { root, content, reopen } = await openStore(t);
  const reached = Promise.withResolvers<void>();
  proxy.disturb = ({ path }, response, upstream) => {
    if (!path.endsWith(big)) return false;
    response.writeHead(200, upstream.headers);
    upstream.once('data', (chunk: Buffer) => response.write(chunk, () => reached.resolve()));
    return true;
  };
  const puller = join(import.meta.dirname, '../fixtures/archives-puller.ts');
  const child = spawnStream(process.execPath, [puller, root, UNPACK_PATH, reference]);
  child.stdout.resume();
  child.stderr.resume();
  await reached.promise;
  child.kill('SIGKILL');
  await child.exit;
  proxy.disturb = () => false;
  const store = await reopen();
  assert.deepEqual(await content(), []);
  assert.deepEqual(await store.list(), []);
  assert.equal((await store.pull(reference, {})).id, image.id);
});

test('a redirect to another host is followed without the credentials', async (t) => {
  const { proxy, image, reference, big } = await pushBehindProxy(t);
  const seen: (string | undefined)[] = [];
  const elsewhere = createServer((incoming, response) => {
    seen.push(incoming.headers.authorization);
    response.end(image.layers[1]?.data);
  }).listen(0, '127.0.0.1');
  await new Promise((resolve) => elsewhere.once('listening', resolve));
  t.after(() => elsewhere.close());
  const { port } = elsewhere.address() as AddressInfo;
  proxy.disturb = ({ path }, response, upstream) => {
    if (!path.endsWith(big)) return false;
    upstream.resume();
    response.writeHead(307, { location: `http://127.0.0.1:${port}/somewhere` }).end();
    return true;
  };
  const { store } = await openStore(t);
  assert.equal((await store.pull(reference, { auth: { registryToken: 'secret' } })).id, image.id);
  assert.ok(proxy.seen.some(({ authorization }) => authorization === 'Bearer secret'));
  assert.deepEqual(seen, [undefined]);
  assert.equal((await call('GET', `http://${proxy.host}/v2/`, {})).status, 200);
});
