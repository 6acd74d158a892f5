// The daemon as a process: its lock, its socket, its end, its successor, and what it costs while idle.

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { request } from 'node:http';
import { connect, createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { type ApiDaemon, launch, startApiDaemon } from '../fixtures/api-daemon.ts';

describe('the daemon', () => {
  let daemon: ApiDaemon;

  before(async () => {
    daemon = await startApiDaemon();
  });
  after(async () => await daemon[Symbol.asyncDispose]());

  test('answers ping with the headers that clients negotiate by', async () => {
    for (const method of ['GET', 'HEAD']) {
      const { status, headers } = await daemon.call(method, '/_ping');
      assert.equal(status, 200);
      assert.match(String(headers['api-version']), /^1\.\d+$/);
      assert.equal(headers['ostype'], 'linux');
      assert.equal(headers['docker-experimental'], 'false');
    }
  });

  test('tells the reason of a refused HEAD in a header', async () => {
    const { status, headers } = await daemon.call('HEAD', '/containers/nobody/archive?path=/x');
    assert.equal(status, 404);
    assert.equal(decodeURI(String(headers['x-berth-error'])), 'No such container: nobody');
  });

  test('serves every version between the oldest and the newest that it names', async () => {
    const { ApiVersion, MinAPIVersion } = (await daemon.call('GET', '/version')).json();
    const minor = (version: unknown) => Number(String(version).split('.')[1]);
    for (let version = minor(MinAPIVersion); version <= minor(ApiVersion); version++)
      assert.equal((await daemon.call('GET', `/v1.${version}/containers/json`)).status, 200);
    assert.equal((await daemon.call('GET', `/v1.${minor(ApiVersion) + 1}/containers/json`)).status, 400);
  });

  test('tells what each isolation found on this host', async () => {
    const probes = (await daemon.call('GET', '/berth/v1/probes')).json<Record<string, { usable: boolean }>>();
    assert.deepEqual(Object.keys(probes).sort(), ['container', 'vm']);
    assert.equal(probes['container']?.usable, true);
  });

  test('lets only root and the group berth speak to it', async () => {
    assert.equal((await stat(daemon.socketPath)).mode & 0o777, 0o660);
  });

  test('refuses a second daemon on its root, and names the remedy', async () => {
    const other = `unix://${join(daemon.root, 'other.sock')}`;
    await assert.rejects(launch(daemon.root, other, []), /another daemon holds .*BERTH_ROOT/);
    assert.equal(existsSync(join(daemon.root, 'other.sock')), false);
  });

  test('refuses to take the socket of a living daemon, or a file, and replaces a dead one’s', async () => {
    const root = await mkdtemp(join(tmpdir(), 'berth-second-'));
    try {
      await assert.rejects(launch(root, daemon.host, []), /another daemon listens on/);
      await writeFile(join(root, 'file'), '');
      await assert.rejects(launch(root, `unix://${join(root, 'file')}`, []), /is not a socket/);
      await assert.rejects(launch(root, 'tcp://0.0.0.0:1', []), /cannot listen on tcp:\/\/0\.0\.0\.0:1/);
      const path = join(root, 'dead.sock');
      leaveDeadSocket(path);
      const child = await launch(root, `unix://${path}`, []);
      const exit = once(child, 'exit');
      child.kill('SIGTERM');
      assert.deepEqual(await exit, [0, null]);
      assert.equal(existsSync(path), false);
    } finally {
      await rm(root, { recursive: true });
    }
  });

  test('two daemons with different roots know nothing of each other', async () => {
    await using other = await startApiDaemon();
    await other.call('POST', '/containers/create?name=only-there', { body: { Image: 'busybox' } });
    assert.equal((await daemon.call('GET', '/containers/only-there/json')).status, 404);
    assert.equal((await other.call('GET', '/containers/only-there/json')).status, 200);
  });

  for (const signal of ['SIGTERM', 'SIGKILL'] as const)
    test(`leaves workloads running when it gets ${signal}, and the next one takes them over`, async () => {
      const body = { Image: 'busybox', Cmd: ['sleep', '100000'] };
      const { Id } = (await daemon.call('POST', '/containers/create', { body })).json<{ Id: string }>();
      assert.equal((await daemon.call('POST', `/containers/${Id}/start`)).status, 204);
      const pid = async () =>
        (await daemon.call('GET', `/containers/${Id}/json`)).json<{ State: { Pid: number } }>().State.Pid;
      const first = await pid();
      await daemon.restart(signal);
      assert.equal(await pid(), first);
      assert.equal((await daemon.call('DELETE', `/containers/${Id}?force=1`)).status, 204);
    });

  test('listens on loopback when asked, and refuses web pages there', async () => {
    const root = await mkdtemp(join(tmpdir(), 'berth-tcp-'));
    const port = await freePort();
    const child = await launch(root, `tcp://127.0.0.1:${port}`, []);
    try {
      const status = async (headers: Record<string, string>) => {
        const sent = request({ host: '127.0.0.1', port, path: '/_ping', headers, agent: false }).end();
        const [answer] = (await once(sent, 'response')) as [{ statusCode: number; resume(): void }];
        answer.resume();
        return answer.statusCode;
      };
      assert.equal(await status({}), 200);
      assert.equal(await status({ Host: 'evil.example' }), 403);
      assert.equal(await status({ Origin: 'http://evil.example' }), 403);
    } finally {
      const exit = once(child, 'exit');
      child.kill('SIGTERM');
      await exit;
      await rm(root, { recursive: true });
    }
  });

  test('costs no CPU time and less than 120 MB while it is idle', async () => {
    await daemon.restart();
    for (let count = 0; count < 10; count++) await daemon.call('GET', '/containers/json?all=1');
    const { pid } = daemon.process;
    const settled = await quiet(pid);
    await new Promise((resolve) => setTimeout(resolve, 1000));
    const used = (await cpuMs(pid)) - settled;
    assert.ok(used < 5, `the idle daemon used ${used} ms of CPU time in a second`);
    const resident = /VmRSS:\s+(\d+) kB/.exec(await readFile(`/proc/${pid}/status`, 'utf8'))?.[1];
    assert.ok(Number(resident) < 120 * 1024, `${resident} kB`);
  });

  test('is not filled by clients that send connections, bodies and heads without end', async () => {
    const open: Socket[] = [];
    const one = async () => {
      const socket = connect(daemon.socketPath).on('error', () => {});
      open.push(socket);
      await once(socket, 'connect').catch(() => {});
    };
    for (let batch = 0; batch < 100; batch++) await Promise.all(Array.from({ length: 100 }, one));
    assert.equal((await daemon.call('GET', '/_ping')).text, 'OK');
    for (const socket of open) socket.destroy();
    const endless = async (head: string, piece: string | Buffer) => {
      const socket = connect(daemon.socketPath).on('error', () => {});
      let answer = '';
      socket.on('data', (chunk) => {
        answer += String(chunk);
      });
      socket.write(head);
      for (let sent = 0; sent < 512 << 20 && answer === '' && !socket.destroyed; sent += piece.length)
        if (!socket.write(piece))
          await Promise.race([once(socket, 'drain'), once(socket, 'close')]).catch(() => {});
      if (answer === '' && !socket.destroyed) await once(socket, 'data').catch(() => {});
      socket.destroy();
      return answer.split('\r\n', 1)[0];
    };
    const body = Buffer.alloc(1 << 20, 'x');
    const chunk = Buffer.concat([Buffer.from('100000\r\n'), body, Buffer.from('\r\n')]);
    const json = 'Host: x\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n';
    assert.match(`${await endless(`POST /containers/create HTTP/1.1\r\n${json}`, chunk)}`, / 413 /);
    // The connection may be cut before the client has read why.
    for (const [head, piece] of [
      ['GET /_ping HTTP/1.1\r\n', `X: ${'y'.repeat(1000)}\r\n`],
      ['GET /', 'y'.repeat(1000)],
    ] as const)
      assert.match(`${await endless(head, piece)}`, /^$| 431 /);
    const status = await readFile(`/proc/${daemon.process.pid}/status`, 'utf8');
    const rssKb = Number(/VmRSS:\s+(\d+)/.exec(status)?.[1]);
    assert.ok(rssKb < 400_000, `${rssKb} kB`);
  });
});

/** A socket file whose listener was killed. */
function leaveDeadSocket(path: string): void {
  const script = `require('net').createServer().listen(${JSON.stringify(path)}, () => process.kill(process.pid, 'SIGKILL'))`;
  spawnSync(process.execPath, ['-e', script]);
  assert.ok(existsSync(path));
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  server.close();
  await once(server, 'close');
  return typeof address === 'object' && address !== null ? address.port : 0;
}

/** CPU time that all threads of the process have used. */
async function cpuMs(pid: number | undefined): Promise<number> {
  const threads = await readdir(`/proc/${pid}/task`);
  const times = await Promise.all(
    threads.map((thread) => readFile(`/proc/${pid}/task/${thread}/schedstat`, 'utf8')),
  );
  return times.reduce((sum, time) => sum + Number(time.split(' ')[0]) / 1e6, 0);
}

/** The CPU time of a daemon once it has come to rest: it uses next to nothing in a quarter of a second. */
async function quiet(pid: number | undefined): Promise<number> {
  for (let last = -1, now = await cpuMs(pid); ; last = now, now = await cpuMs(pid)) {
    if (now - last < 0.5 && last >= 0) return now;
    await new Promise((resolve) => setTimeout(resolve, 250));
  }
}
