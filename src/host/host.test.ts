import assert from 'node:assert/strict';
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { isBerthError } from '../core/index.ts';
import { readIfExists, writeAtomic } from './files.ts';
import { lockFile } from './lock.ts';
import { run, spawnDetached } from './process.ts';

let folder = '';
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'berth-host-'));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

describe('run', () => {
  it('hands over input and returns output', async () => {
    assert.deepEqual(await run('cat', [], { input: 'hello' }), { stdout: 'hello', stderr: '' });
  });
  it('passes arguments as they are, without a shell', async () => {
    assert.equal((await run('printf', ['%s', '$HOME; `id`'])).stdout, '$HOME; `id`');
  });
  it('names the command, its status and its complaint when it fails', async () => {
    await assert.rejects(run('sh', ['-c', 'echo broken >&2; exit 3']), /sh -c .*exit status 3: broken/);
  });
  it('fails with not-found when there is no such program', async () => {
    await assert.rejects(run('berth-no-such-program', []), (error) => isBerthError(error, 'not-found'));
  });
  it('kills what does not end in time and says so', async () => {
    await assert.rejects(run('sleep', ['60'], { timeoutMs: 20 }), (error) => isBerthError(error, 'timeout'));
  });
  it('kills what is cancelled and says so', async () => {
    const abort = new AbortController();
    const running = run('sleep', ['60'], { signal: abort.signal });
    abort.abort();
    await assert.rejects(running, (error) => isBerthError(error, 'cancelled'));
  });
});

describe('spawnDetached', () => {
  it('gives the child a socket as file descriptor 3', async () => {
    const child = spawnDetached('sh', ['-c', 'read line <&3; echo "got $line" >&3'], { extra: ['socket'] });
    const [socket] = child.sockets;
    assert.ok(socket);
    socket.write('ping\n');
    const chunks: Buffer[] = [];
    for await (const chunk of socket) chunks.push(chunk as Buffer);
    assert.equal(Buffer.concat(chunks).toString(), 'got ping\n');
    assert.equal((await child.exit).code, 0);
  });
});

describe('writeAtomic', () => {
  it('replaces a file and leaves nothing else behind', async () => {
    const path = join(folder, 'record');
    await writeAtomic(path, 'one');
    await writeAtomic(path, 'two', { durable: true });
    assert.equal(await readIfExists(path), 'two');
    assert.deepEqual(await readdir(folder), ['record']);
  });
  it('reads a missing file as undefined', async () => {
    assert.equal(await readIfExists(join(folder, 'none')), undefined);
  });
});

describe('lockFile', () => {
  it('is held by one holder at a time and free again after disposal', async () => {
    const path = join(folder, 'lock');
    const first = await lockFile(path);
    await assert.rejects(lockFile(path), (error) => isBerthError(error, 'conflict'));
    await first[Symbol.asyncDispose]();
    await (await lockFile(path))[Symbol.asyncDispose]();
  });
});
