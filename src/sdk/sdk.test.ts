import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer, type RequestListener, type Server } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Duplex } from 'node:stream';
import { test } from 'node:test';
import { parseAddress } from './address.ts';
import { jsonLines, outputChunks } from './body.ts';
import { splitReference } from './images.ts';
import { type BerthClient, BerthSdkError, connect } from './index.ts';

async function withServer(
  listener: RequestListener,
  use: (client: BerthClient, server: Server) => Promise<void>,
): Promise<void> {
  const dir = await mkdtemp(join(tmpdir(), 'berth-sdk-'));
  const server = createServer(listener);
  const path = join(dir, 's.sock');
  await new Promise<void>((resolve) => server.listen(path, resolve));
  const client = connect({ host: `unix://${path}` });
  try {
    await use(client, server);
  } finally {
    client.close();
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
    await rm(dir, { recursive: true, force: true });
  }
}

async function listOf<T>(source: AsyncIterable<T>): Promise<T[]> {
  const items: T[] = [];
  for await (const item of source) items.push(item);
  return items;
}

test('a status of 400 or more becomes an error with its code and the message of the daemon', async () => {
  await withServer(
    (_, response) => {
      response.writeHead(404, { 'Content-Type': 'application/json' });
      response.end('{"message":"No such container: x"}\n');
    },
    async (client) => {
      await assert.rejects(client.containers.inspect('x'), (error) => {
        assert(error instanceof BerthSdkError);
        assert.equal(error.code, 'not-found');
        assert.equal(error.status, 404);
        assert.equal(error.message, 'No such container: x');
        return true;
      });
    },
  );
});

test('requests one after the other share a connection, also after an error', async () => {
  let status = 200;
  let connections = 0;
  await withServer(
    (_, response) => {
      response.statusCode = status;
      response.end('{"message":"m"}');
    },
    async (client, server) => {
      server.on('connection', () => connections++);
      await client.system.info();
      status = 500;
      await assert.rejects(client.system.info(), { code: 'internal' });
      status = 200;
      await client.system.info();
      assert.equal(connections, 1);
    },
  );
});

test('a missing socket is reported as unavailable and named', async () => {
  const client = connect({ host: 'unix:///nonexistent/berth.sock' });
  await assert.rejects(client.system.ping(), {
    code: 'unavailable',
    message: /unix:\/\/\/nonexistent\/berth\.sock/,
  });
});

test('a body is sent as a stream and the answer is read as JSON lines', async () => {
  await withServer(
    async (request, response) => {
      let bytes = 0;
      for await (const chunk of request) bytes += (chunk as Buffer).length;
      response.write('{"stream":"got ');
      response.end(`${bytes}"}\n{"stream":"two"}`);
    },
    async (client) => {
      async function* source() {
        for (let i = 0; i < 40; i++) yield Buffer.alloc(50_000);
      }
      const messages = await listOf(client.images.load(source()));
      assert.deepEqual(messages, [{ stream: 'got 2000000' }, { stream: 'two' }]);
    },
  );
});

test('a refusal that comes before the body was sent is told, not the broken connection', async () => {
  await withServer(
    (_, response) => {
      response.writeHead(404, { Connection: 'close' });
      response.end('{"message":"No such container: x"}', () => response.socket?.destroy());
    },
    async (client) => {
      async function* source() {
        for (let i = 0; i < 200; i++) yield Buffer.alloc(50_000);
      }
      for (let i = 0; i < 10; i++) {
        await assert.rejects(client.containers.files.write('x', '/', source()), {
          message: 'No such container: x',
        });
      }
    },
  );
});

test('a slow reader holds the daemon back, and misses nothing', async () => {
  let taken = 0;
  await withServer(
    async (_, response) => {
      for (let i = 0; i < 400; i++) {
        const more = response.write(Buffer.alloc(50_000));
        taken += 50_000;
        if (!more) await new Promise((resolve) => response.once('drain', resolve));
      }
      response.end();
    },
    async (client) => {
      const body = await client.containers.files.export('x');
      let bytes = 0;
      let ahead = 0;
      for await (const chunk of body) {
        bytes += chunk.length;
        // Room for the other side to go on if nothing held it back.
        if (bytes < 5_000_000) await new Promise((resolve) => setImmediate(resolve));
        ahead = Math.max(ahead, taken - bytes);
      }
      assert.equal(bytes, 20_000_000);
      assert(ahead < 5_000_000, `${ahead} bytes ahead`);
    },
  );
});

test('an upgraded connection is raw both ways and survives its own half-close', async () => {
  await withServer(
    () => {},
    async (client, server) => {
      server.on('upgrade', (_, socket: Duplex) => {
        let text = '';
        socket.write('HTTP/1.1 101 UPGRADED\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\nearly ');
        socket.on('data', (chunk: Buffer) => {
          text += chunk.toString();
        });
        socket.on('end', () => socket.end(`late ${text}`));
      });
      const stream = await client.containers.attach('x', { stdin: true, stdout: true });
      await stream.write(Buffer.from('input'));
      stream.end();
      let seen = '';
      for await (const chunk of stream.output) seen += chunk.toString();
      assert.equal(seen, 'early late input');
    },
  );
});

test('an aborted signal ends a stream with the code cancelled', async () => {
  await withServer(
    (_, response) => {
      response.write('{"Action":"start"}\n');
    },
    async (client) => {
      const abort = new AbortController();
      const events = client.system.events({ signal: abort.signal });
      assert.equal((await events.next()).value?.Action, 'start');
      const next = events.next();
      abort.abort();
      await assert.rejects(next, { code: 'cancelled' });
    },
  );
});

test('an answer that is cut short is an error, not a short answer', async () => {
  await withServer(
    (_, response) => {
      response.writeHead(200, { 'Content-Length': '100' });
      response.write('{"a":');
      setImmediate(() => response.destroy());
    },
    async (client) => {
      await assert.rejects(client.system.info(), { code: 'unavailable' });
    },
  );
});

test('a line break in a path cannot add a header', async () => {
  await withServer(
    (_, response) => response.end('{}'),
    async (client) => {
      await assert.rejects(client.http.json('GET', '/x HTTP/1.1\r\nA: b'), { code: 'invalid-argument' });
    },
  );
});

test('addresses are absolute unix paths or tcp with a port', () => {
  assert.deepEqual(parseAddress('unix:///a/b'), { kind: 'unix', path: '/a/b' });
  assert.deepEqual(parseAddress('tcp://[::1]:80'), { kind: 'tcp', host: '::1', port: 80 });
  for (const bad of ['', 'unix://a', 'tcp://x', 'http://x', 'tcp://x:99999']) {
    assert.throws(() => parseAddress(bad), { code: 'invalid-argument' });
  }
});

test('references are split at the tag, not at the port of a registry', () => {
  assert.deepEqual(splitReference('h:5000/a/b'), { fromImage: 'h:5000/a/b', tag: 'latest' });
  assert.deepEqual(splitReference('h:5000/a:1'), { fromImage: 'h:5000/a', tag: '1' });
  assert.deepEqual(splitReference('a@sha256:00'), { fromImage: 'a', tag: 'sha256:00' });
});

test('documents and output are put together across chunk borders', async () => {
  async function* bytes(data: Buffer) {
    for (const byte of data) yield Buffer.from([byte]);
  }
  const documents = await listOf(jsonLines(bytes(Buffer.from('{"a":"é"}\r\n\n{"b":1}'))));
  assert.deepEqual(documents, [{ a: 'é' }, { b: 1 }]);
  const frames = Buffer.from([2, 0, 0, 0, 0, 0, 0, 1, 65, 1, 0, 0, 0, 0, 0, 0, 0]);
  const output = await listOf(outputChunks(bytes(frames), false));
  assert.deepEqual(output, [{ stream: 'stderr', data: Buffer.from('A') }]);
});
