import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { connect, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PassThrough, Readable } from 'node:stream';
import { after, before, describe, type TestContext, test } from 'node:test';
import { BerthError, ERROR_CODES } from '../../core/index.ts';
import { type Listening, listen, parseHost } from '../listen.ts';
import { readJson } from './body.ts';
import type { ConnectionLimits } from './connections.ts';
import { STATUS_OF, toRefusal } from './errors.ts';
import { converse, hijack, RAW_STREAM } from './hijack.ts';
import { beginStream, sendJson } from './respond.ts';
import { type Route, Router } from './router.ts';
import { createHttpServer } from './server.ts';

describe('errors', () => {
  test('every code has a status', () => {
    assert.deepEqual(Object.keys(STATUS_OF).sort(), [...ERROR_CODES].sort());
  });

  test('a command that cannot be executed is refused in words that Docker’s clients know', () => {
    const missing = toRefusal(new BerthError('not-found', 'exec: "nope"', { exitStatus: 127 }));
    assert.deepEqual(missing, {
      status: 400,
      body: { message: 'exec: "nope": executable file not found', exitStatus: 127 },
    });
  });
});

describe('router', () => {
  const nothing = () => {};
  const router = new Router([
    { method: 'GET', path: '/images/json', handle: nothing },
    { method: 'GET', path: '/images/{*}/json', handle: nothing },
    { method: 'GET', path: '/containers/{}/json', handle: nothing },
  ]);

  test('names of images may hold slashes, ids of containers may not', () => {
    assert.deepEqual(router.find('GET', '/images/a/b:1/json')?.params, ['a/b:1']);
    assert.deepEqual(router.find('GET', '/images/json')?.params, []);
    assert.equal(router.find('GET', '/containers/a/b/json'), undefined);
    assert.equal(router.find('POST', '/containers/a/json'), undefined);
  });
});

describe('server', () => {
  /** A process that repeats its input in capitals and ends with it. */
  function echo() {
    const input = new PassThrough();
    const output = new PassThrough();
    input.on('data', (chunk: Buffer) => output.write(chunk.toString().toUpperCase()));
    input.on('end', () => output.end('END'));
    const exit = once(output, 'close').then(() => ({ code: 0, oomKilled: false, finishedAt: '' }));
    return { input, output, exit, resize: async () => {}, close: () => output.destroy() };
  }

  const routes: readonly Route[] = [
    { method: 'POST', path: '/json', handle: async (call) => sendJson(call, await readJson(call)) },
    {
      method: 'POST',
      path: '/echo',
      hijacks: true,
      handle: async (call) => {
        await readJson(call, {});
        await converse(call, hijack(call, RAW_STREAM), echo(), { input: true, endsInput: true });
      },
    },
    {
      method: 'POST',
      path: '/flood',
      hijacks: true,
      handle: async (call) => {
        await readJson(call, {});
        const output = Readable.from([Buffer.alloc(4 << 20)]);
        output.once('end', () => setImmediate(() => flooded.resolve()));
        const io = { ...echo(), output, close: () => output.destroy() };
        await converse(call, hijack(call, RAW_STREAM), io, { input: false, endsInput: false });
      },
    },
  ];
  const flooded = Promise.withResolvers<void>();
  let folder = '';
  let listening: Listening | undefined;
  const path = () => join(folder, 'test.sock');

  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'berth-http-'));
    const server = createHttpServer({ router: new Router(routes), version: '1', log: assert.fail });
    listening = await listen(server, { kind: 'unix', path: path() });
  });
  after(async () => {
    await listening?.close();
    await rm(folder, { recursive: true });
  });

  /** Sends the bytes, then ends its side once `until` was seen, and resolves to all that came back. */
  async function talk(text: string, until?: string): Promise<string> {
    const socket = connect({ path: path(), allowHalfOpen: true });
    socket.write(text);
    let answer = '';
    if (until === undefined) socket.end();
    for await (const chunk of socket) {
      answer += chunk;
      if (until !== undefined && answer.includes(until)) socket.end();
    }
    return answer;
  }

  const post = (target: string, body: string, headers = 'Content-Type: application/json\r\n') =>
    `POST ${target} HTTP/1.1\r\nHost: x\r\n${headers}Content-Length: ${body.length}\r\n\r\n${body}`;

  test('an upgraded connection carries both directions, the input’s end included', async () => {
    const upgrade = 'Connection: Upgrade\r\nUpgrade: tcp\r\nContent-Type: application/json\r\n';
    const answer = await talk(`${post('/v1.41/echo', '{"Tty":true}', upgrade)}hello`);
    assert.match(answer, /^HTTP\/1\.1 101 UPGRADED\r\n/);
    assert.ok(answer.endsWith('\r\n\r\nHELLOEND'), answer);
  });

  test('a client that rests for an hour reads the end all the same', async (t) => {
    t.mock.timers.enable({ apis: ['setTimeout'] });
    const upgrade = 'Connection: Upgrade\r\nUpgrade: tcp\r\nContent-Type: application/json\r\n';
    const socket = connect({ path: path(), allowHalfOpen: true });
    socket.write(post('/flood', '{}', upgrade));
    await once(socket, 'readable');
    await flooded.promise;
    t.mock.timers.tick(3_600_000);
    let bytes = 0;
    for await (const chunk of socket) bytes += (chunk as Buffer).length;
    assert.ok(bytes > 4_000_000, `${bytes}`);
    socket.destroy();
  });

  test('an old client that asks for no upgrade gets the raw stream after a 200', async () => {
    const socket = connect({ path: path(), allowHalfOpen: true });
    socket.write(post('/echo', '{}'));
    let answer = '';
    socket.once('data', () => socket.end('hello'));
    for await (const chunk of socket) answer += chunk;
    assert.match(answer, /^HTTP\/1\.1 200 OK\r\nContent-Type: application\/vnd\.docker\.raw-stream/);
    assert.ok(answer.endsWith('HELLOEND'), answer);
  });

  test('refusals on an upgrade request are ordinary answers', async () => {
    const answer = await talk(
      post('/echo', '{bad', 'Connection: Upgrade\r\nUpgrade: tcp\r\nContent-Type: application/json\r\n'),
    );
    assert.match(answer, /^HTTP\/1\.1 400 /);
    assert.match(answer, /"message":"the request body is not JSON/);
  });

  test('an upgrade that the route has no use for is passed over', async () => {
    const answer = await talk(
      post(
        '/json',
        '{"a":1}',
        'Connection: Upgrade, close\r\nUpgrade: h2c\r\nContent-Type: application/json\r\n',
      ),
      '}',
    );
    assert.match(answer, /^HTTP\/1\.1 200 /);
  });

  test('bad bodies are refused with their reason', async () => {
    const status = async (text: string) => (await talk(text, '}')).slice(9, 12);
    assert.equal(await status(post('/json', '{bad')), '400');
    assert.equal(await status(post('/json', '')), '400');
    assert.equal(await status(post('/json', '{}', 'Content-Type: text/plain\r\n')), '400');
    assert.equal(await status('POST /json HTTP/1.1\r\nHost: x\r\nContent-Length: 9999999\r\n\r\n{'), '413');
    assert.equal(await status(post('/v1.99/json', '{}')), '400');
    assert.equal(await status(post('/nowhere', '{}')), '404');
  });

  test('a live socket is not taken over and a file is left alone', async () => {
    const server = createHttpServer({ router: new Router([]), version: '1', log: assert.fail });
    await assert.rejects(listen(server, { kind: 'unix', path: path() }), /another daemon listens on/);
    const file = join(folder, 'file');
    await writeFile(file, '');
    await assert.rejects(listen(server, { kind: 'unix', path: file }), /is not a socket/);
  });
});

describe('limits of connections', () => {
  async function serve(t: TestContext, limits: ConnectionLimits) {
    const folder = await mkdtemp(join(tmpdir(), 'berth-http-'));
    const path = join(folder, 'test.sock');
    const routes: readonly Route[] = [
      { method: 'GET', path: '/ping', handle: (call) => sendJson(call, {}) },
      { method: 'GET', path: '/held', handle: (call) => beginStream(call, 'text/plain') },
    ];
    const server = createHttpServer({ router: new Router(routes), version: '1', log: assert.fail, limits });
    const listening = await listen(server, { kind: 'unix', path });
    t.after(async () => {
      await listening.close();
      await rm(folder, { recursive: true });
    });
    const open = async () => {
      // The server may close it at any time.
      const socket = connect({ path }).on('error', () => {});
      await once(socket, 'connect');
      return socket;
    };
    const ask = async (target: string) => {
      const socket = await open();
      socket.write(`GET ${target} HTTP/1.1\r\nHost: x\r\n\r\n`);
      const [answer] = (await once(socket, 'data')) as [Buffer];
      return { socket, answer: answer.toString() };
    };
    return { open, ask };
  }

  test('a head that does not come to its end in time is not waited for', async (t) => {
    const { open, ask } = await serve(t, { mostConnections: 10, headMs: 40 });
    const silent = await open();
    const slow = await open();
    slow.write('GET /ping HTTP/1.1\r\nHo');
    const held = await ask('/held');
    await Promise.all([once(silent, 'close'), once(slow, 'close')]);
    assert.equal(held.socket.destroyed, false);
    held.socket.destroy();
  });

  test('connections without a request give way, those that are answered do not', async (t) => {
    const { open, ask } = await serve(t, { mostConnections: 3, headMs: 60_000 });
    const idle = [await open(), await open(), await open()];
    const gone = once(idle[0] as Socket, 'close');
    const held = [await ask('/held')];
    await gone;
    held.push(await ask('/held'), await ask('/held'));
    for (const { answer } of held) assert.match(answer, /200 OK/);
    assert.match((await ask('/ping')).answer, /^HTTP\/1\.1 503 [\s\S]*as many clients as it takes/);
    for (const { socket } of held) socket.destroy();
  });
});

describe('hosts', () => {
  test('only unix sockets and loopback ports are listened on', () => {
    assert.deepEqual(parseHost('unix:///run/x.sock'), { kind: 'unix', path: '/run/x.sock' });
    assert.deepEqual(parseHost('tcp://127.0.0.1:2375'), { kind: 'tcp', host: '127.0.0.1', port: 2375 });
    for (const bad of ['tcp://0.0.0.0:2375', 'unix://x', 'http://localhost', ''])
      assert.throws(() => parseHost(bad), { code: 'invalid-argument' });
  });
});
