import assert from 'node:assert/strict';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { buffer } from 'node:stream/consumers';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { BerthError, isBerthError } from '../core/index.ts';
import { encodeFields, encodeFrame, FRAME, type Frame, FrameDecoder } from '../formats/frames.ts';
import { connectShim, failure, field } from './connection.ts';
import { readExit } from './exit.ts';
import { parseChanges, ShimFiles, withoutMountPoints } from './files.ts';
import { ShimProcessIo } from './process-io.ts';
import { ShimClient } from './shim-client.ts';

type Answer = (frame: Frame, socket: Socket) => void;

let dir = '';
let server: Server;
let answer: Answer;

beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'berth-guest-'));
  server = createServer((socket) => {
    const decoder = new FrameDecoder();
    socket.on('error', () => {});
    socket.on('data', (chunk: Buffer) => {
      for (const frame of decoder.push(chunk)) answer(frame, socket);
    });
  });
  await new Promise<void>((resolve) => server.listen(join(dir, 'shim.sock'), resolve));
});
afterEach(async () => {
  server.close();
  await rm(dir, { recursive: true, force: true });
});

const fields = (values: Record<string, string>) => encodeFields(values);

describe('a connection to a shim', () => {
  it('resolves a request to the fields of its answer', async () => {
    answer = (_, socket) => socket.write(encodeFrame(FRAME.opened, fields({ pid: '42' })));
    const connection = await connectShim(dir);
    assert.equal(field(await connection.request('state'), 'pid'), '42');
    connection.close();
  });
  it('turns a failure into an error with its code and exit status', async () => {
    answer = (_, socket) =>
      socket.write(
        encodeFrame(FRAME.fail, fields({ code: 'invalid-argument', message: 'no such', status: '127' })),
      );
    const connection = await connectShim(dir);
    await assert.rejects(connection.request('exec'), (error) => {
      assert.ok(error instanceof BerthError);
      assert.deepEqual([error.code, error.message, error.exitStatus], ['invalid-argument', 'no such', 127]);
      return true;
    });
    connection.close();
  });
  it('fails with unavailable when the shim goes, or is not there', async () => {
    answer = (_, socket) => socket.destroy();
    const connection = await connectShim(dir);
    await assert.rejects(connection.request('state'), (error) => isBerthError(error, 'unavailable'));
    await assert.rejects(connectShim(join(dir, 'nowhere')), (error) => isBerthError(error, 'unavailable'));
  });
  it('finds a socket whose path is too long for an address', async () => {
    const deep = join(dir, 'd'.repeat(100));
    await mkdir(deep);
    process.chdir(deep);
    const local = createServer((socket) => socket.end(encodeFrame(FRAME.opened)));
    await new Promise<void>((resolve) => local.listen('shim.sock', resolve));
    process.chdir('/');
    const connection = await connectShim(deep);
    await connection.request('state');
    connection.close();
    local.close();
  });
});

describe('files over a connection', () => {
  it('loses nothing to a reader slower than the shim, which has gone by then', async () => {
    const part = Buffer.alloc(20_000, 1);
    answer = (_, socket) => {
      const parts = Array.from({ length: 5 }, () => encodeFrame(FRAME.stdout, part));
      socket.end(Buffer.concat([encodeFrame(FRAME.opened), ...parts, encodeFrame(FRAME.exit)]));
    };
    const connection = await connectShim(dir);
    const user = () => ({ user: '', additionalGroups: [] });
    const files = new ShimFiles({ open: async () => ({ connection, release: () => {} }), user });
    const stream = await files.read('/');
    await connection.closed;
    assert.equal((await buffer(stream)).length, 100_000);
  });
});

describe('stdio over a connection', () => {
  const open = async (tty: boolean) => {
    const connection = await connectShim(dir);
    await connection.request('attach');
    return new ShimProcessIo(tty, connection);
  };
  const output = (socket: Socket) => {
    socket.write(encodeFrame(FRAME.opened));
    socket.write(encodeFrame(FRAME.stdout, 'out'));
    socket.write(encodeFrame(FRAME.stderr, 'err'));
    socket.write(encodeFrame(FRAME.stdout));
    socket.write(encodeFrame(FRAME.exit, fields({ code: '3', oom: '1', finished: '2026-01-01T00:00:00Z' })));
  };
  it('hands frames on unchanged without a terminal, and bytes with one', async () => {
    answer = (_, socket) => output(socket);
    const plain = await open(false);
    assert.deepEqual(
      await buffer(plain.output),
      Buffer.concat([encodeFrame(1, 'out'), encodeFrame(2, 'err')]),
    );
    const tty = await open(true);
    assert.equal((await buffer(tty.output)).toString(), 'outerr');
    assert.deepEqual(await tty.exit, { code: 3, oomKilled: true, finishedAt: '2026-01-01T00:00:00Z' });
  });
  it('ends the output and tells when the connection is lost', async () => {
    answer = (_, socket) => socket.end(encodeFrame(FRAME.opened));
    const io = await open(false);
    assert.equal((await buffer(io.output)).length, 0);
    await assert.rejects(io.exit, (error) => isBerthError(error, 'unavailable'));
  });
  it('sends input, its end, sizes and signals', async () => {
    const seen: string[] = [];
    const ended = new Promise<void>((resolve) => {
      answer = (frame, socket) => {
        if (frame.type === FRAME.open) socket.write(encodeFrame(FRAME.opened));
        else seen.push(`${frame.type}:${frame.payload.toString().replaceAll('\0', ' ')}`);
        if (frame.type === FRAME.stdin && frame.payload.length === 0) resolve();
      };
    });
    const io = await open(false);
    await io.resize({ rows: 2, columns: 3 });
    io.signal(9);
    io.input.end('typed');
    await ended;
    io.close();
    assert.deepEqual(seen, ['18:rows=2 columns=3 ', '19:signal=9 ', '0:typed', '0:']);
  });
});

describe('a shim’s client', () => {
  it('joins a running shim and learns of kills and its end', async () => {
    const end = Buffer.concat([encodeFrame(FRAME.oom), encodeFrame(FRAME.exit, fields({ code: '5' }))]);
    answer = (frame, socket) => {
      socket.write(encodeFrame(FRAME.opened, fields({ state: 'running', pid: '7', started: 's' })));
      if (frame.payload.toString().startsWith('op=wait')) setImmediate(() => socket.end(end));
    };
    const { client, state } = await ShimClient.join(dir);
    assert.deepEqual(state, { state: 'running', pid: 7, startedAt: 's', oomKilled: false });
    assert.equal((await client.exit).code, 5);
    let kills = 0;
    client.onOomKill(() => kills++);
    assert.deepEqual([client.oomKilled, kills], [true, 1]);
    await client.gone;
  });
});

describe('what shims write', () => {
  it('is read from the exit file', async () => {
    assert.equal(await readExit(dir), undefined);
    await writeFile(
      join(dir, 'exit'),
      fields({ code: '137', reason: 'guest-panic', message: 'm', started: 's', finished: 'f' }),
    );
    assert.deepEqual(await readExit(dir), {
      status: { code: 137, oomKilled: false, reason: 'guest-panic', message: 'm', finishedAt: 'f' },
      startedAt: 's',
    });
  });
  it('is taken for what it can be, and shown with its control characters visible', async () => {
    const hostile = { code: '99999', message: 'a\u001b[2J\nb\u009b\u202ec é', finished: 'f' };
    await writeFile(join(dir, 'exit'), fields(hostile));
    const status = (await readExit(dir))?.status;
    assert.deepEqual([status?.code, status?.message], [255, 'a\\x1b[2J\\nb\\u009b\\u202ec é']);
    const refused = failure(fields({ code: 'x', message: '\u0007', status: '99999' }));
    assert.deepEqual([refused.code, refused.message, refused.exitStatus], ['internal', '\\x07', undefined]);
    const older = failure(fields({ code: 'unsupported', message: 'unknown operation x' }));
    assert.match(older.message, /^unknown operation x: .* another version of Berth; restart it/);
  });
  it('is cut into changes', () => {
    assert.deepEqual(parseChanges(Buffer.from('0 /a\0' + '2 /b c\0' + '1 /\xff\xe9\0', 'latin1')), [
      { kind: 0, path: '/a' },
      { kind: 2, path: '/b c' },
      { kind: 1, path: '/\xff\xe9' },
    ]);
  });
  it('leaves out mount points and folders listed only for them', () => {
    const listed = ['/mnt', '/mnt/é', '/mnt/é/in', '/var', '/var/log', '/var/vol', '/etc', '/etc/hosts'];
    const changes = parseChanges(Buffer.from(listed.map((path) => `0 ${path}\0`).join('')));
    assert.deepEqual(
      withoutMountPoints(changes, ['/mnt/é', '/var/vol', '/etc/hosts']).map(({ path }) => path),
      ['/var', '/var/log'],
    );
  });
});
