import assert from 'node:assert/strict';
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { errorMessage, isBerthError } from '../core/index.ts';
import { readIfExists, writeAtomic } from './files.ts';
import { lockFile } from './lock.ts';
import { run, runBytes, spawnDetached } from './process.ts';
import { PACKAGE_OF, remedyFor } from './programs.ts';

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
  it('fails with not-found when there is no such program, and names its package', async () => {
    await assert.rejects(run('berth-no-such-program', []), (error) => isBerthError(error, 'not-found'));
    const error = await run('/nowhere/mkfs.erofs', []).catch((reason: unknown) => reason);
    assert.match(errorMessage(error), /mkfs\.erofs is missing: install the package erofs-utils/);
    assert.match(remedyFor(error, 'something else'), /install the package erofs-utils/);
  });
  it('names the package of a program that a script misses', async () => {
    const script = run('sh', ['-c', 'PATH=/nowhere; mount -t tmpfs tmpfs /mnt']);
    await assert.rejects(script, {
      code: 'not-found',
      message: /mount is missing: install the package mount/,
    });
    await assert.rejects(run('sh', ['-c', 'exit 127']), { code: 'internal' });
  });
  it('hands over bytes as they are', async () => {
    assert.deepEqual(await runBytes('printf', ['\\377\\000']), Buffer.from([0xff, 0]));
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

describe('programs that Berth executes', () => {
  it('are in a package that set-up knows, or in one that Debian and Ubuntu cannot be without', async () => {
    const essential = ['apt', 'coreutils', 'dash', 'gzip', 'util-linux'];
    const lists = await Promise.all(
      ['packages.txt', 'packages-test.txt'].map((name) =>
        readFile(join(import.meta.dirname, '../../scripts', name), 'utf8'),
      ),
    );
    const listed = lists.flatMap((text) =>
      text.split('\n').flatMap((line) => line.split(' ')[0]?.split('|') ?? []),
    );
    const unknown = Object.values(PACKAGE_OF).filter(
      (name) => !listed.includes(name) && !essential.includes(name),
    );
    assert.deepEqual(unknown, []);
  });

  it('are known by their package wherever they are executed by name', async () => {
    const src = join(import.meta.dirname, '..');
    const files = (await readdir(src, { recursive: true })).filter((name) => /(?<!\.test)\.ts$/.test(name));
    const call = /(?<![.#\w])(?:run|runBytes|spawnStream|spawnDetached)\(\s*'([^']+)'/g;
    const named = await Promise.all(
      files.map(async (name) =>
        [...(await readFile(join(src, name), 'utf8')).matchAll(call)].map((found) => found[1]),
      ),
    );
    const elsewhere = ['firewall-cmd', 'systemctl', 'systemd-notify', 'systemd-run'];
    const unknown = named
      .flat()
      .filter((name = '') => !Object.hasOwn(PACKAGE_OF, name) && !elsewhere.includes(name));
    assert.deepEqual(unknown, []);
  });
});
