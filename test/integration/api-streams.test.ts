// Streams of the API: attach, exec, logs, wait, stats and events, with clients that are slow, silent or gone.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { after, before, describe, test } from 'node:test';
import { type ApiDaemon, startApiDaemon } from '../fixtures/api-daemon.ts';
import { demultiplex, openStream, readRest } from '../fixtures/api-stream.ts';

describe('streams of the API', () => {
  let daemon: ApiDaemon;

  before(async () => {
    daemon = await startApiDaemon();
  });
  after(async () => await daemon[Symbol.asyncDispose]());

  async function create(Cmd: readonly string[], rest: object = {}): Promise<string> {
    const made = await daemon.call('POST', '/v1.43/containers/create', {
      body: { Image: 'busybox', Cmd, ...rest },
    });
    assert.equal(made.status, 201, made.text);
    return made.json<{ Id: string }>().Id;
  }

  const start = async (id: string) =>
    assert.equal((await daemon.call('POST', `/containers/${id}/start`)).status, 204);
  const exitCode = async (id: string) =>
    (await daemon.call('POST', `/containers/${id}/wait`)).json<{ StatusCode: number }>().StatusCode;
  const attachPath = (id: string, version = 'v1.43') =>
    `/${version}/containers/${id}/attach?stream=1&stdin=1&stdout=1&stderr=1`;
  const stdio = {
    OpenStdin: true,
    StdinOnce: true,
    AttachStdin: true,
    AttachStdout: true,
    AttachStderr: true,
  };

  test('attached before the start, a client misses nothing and can end the input', async () => {
    const id = await create(['sh', '-c', 'echo first; cat; echo err >&2; exit 3'], stdio);
    const stream = await openStream(daemon.socketPath, { path: attachPath(id) });
    assert.equal(stream.status, 'HTTP/1.1 101 UPGRADED');
    assert.match(stream.headers, /application\/vnd\.docker\.multiplexed-stream/);
    await start(id);
    stream.socket.end('typed\n');
    assert.deepEqual(demultiplex(await readRest(stream)), { stdout: 'first\ntyped\n', stderr: 'err\n' });
    assert.equal(await exitCode(id), 3);
  });

  test('a client that knows no upgrade gets the same stream, in the old type', async () => {
    const id = await create(['cat'], stdio);
    const stream = await openStream(daemon.socketPath, { path: attachPath(id, 'v1.41'), upgrade: false });
    assert.equal(stream.status, 'HTTP/1.1 200 OK');
    assert.match(stream.headers, /application\/vnd\.docker\.raw-stream/);
    await start(id);
    stream.socket.end('old\n');
    assert.equal(demultiplex(await readRest(stream)).stdout, 'old\n');
    assert.equal(await exitCode(id), 0);
  });

  test('the headers of wait come before the workload has ended, so that nothing is missed', async () => {
    const id = await create(['true']);
    const stream = await openStream(daemon.socketPath, {
      path: `/containers/${id}/wait?condition=next-exit`,
      upgrade: false,
    });
    assert.equal(stream.status, 'HTTP/1.1 200 OK');
    await start(id);
    const [chunk] = (await once(stream.socket.resume(), 'data')) as [Buffer];
    assert.match(stream.rest.toString() + chunk.toString(), /\{"StatusCode":0\}/);
    stream.socket.destroy();
  });

  test('a client that reads nothing holds the workload back, and the daemon’s memory stays', async () => {
    const id = await create(['sh', '-c', 'yes 0123456789abcdef | head -c 200000000'], {
      AttachStdout: true,
      HostConfig: { LogConfig: { Type: 'none' } },
    });
    const stream = await openStream(daemon.socketPath, { path: attachPath(id) });
    await start(id);
    // It writes until every buffer on the way is full: then it sleeps in the kernel with its output undelivered.
    const [first] = (await once(stream.socket.on('data', () => stream.socket.pause()).resume(), 'data')) as [
      Buffer,
    ];
    const before = await residentBytes(daemon);
    const running = await daemon.call('GET', `/containers/${id}/json`);
    assert.equal(running.json<{ State: { Status: string } }>().State.Status, 'running');
    assert.ok((await residentBytes(daemon)) < before + (64 << 20));
    let total = stream.rest.length + first.length;
    stream.socket.removeAllListeners('data').on('data', (chunk: Buffer) => {
      total += chunk.length;
    });
    stream.socket.resume();
    await once(stream.socket, 'end');
    assert.ok(total > 200_000_000, String(total));
    assert.equal(await exitCode(id), 0);
  });

  test('a client that begins to read when all is over, and removed, misses nothing', async () => {
    const id = await create(['seq', '1', '150000'], {
      ...{ AttachStdout: true },
      HostConfig: { AutoRemove: true, LogConfig: { Type: 'none' } },
    });
    const stream = await openStream(daemon.socketPath, { path: attachPath(id) });
    const removed = daemon.call('POST', `/containers/${id}/wait?condition=removed`);
    await start(id);
    assert.equal((await removed).status, 200);
    assert.equal(demultiplex(await readRest(stream)).stdout.split('\n').length, 150_001);
  });

  test('a body that attach has no use for does not reach the input', async () => {
    const id = await create(['cat'], stdio);
    for (const upgrade of [true, false]) {
      const stream = await openStream(daemon.socketPath, { path: attachPath(id), body: { a: 1 }, upgrade });
      await start(id);
      stream.socket.end('typed\n');
      assert.equal(demultiplex(await readRest(stream)).stdout, 'typed\n');
      assert.equal(await exitCode(id), 0);
    }
    const chunked = { Connection: 'Upgrade', Upgrade: 'tcp', 'Transfer-Encoding': 'chunked' };
    assert.equal((await daemon.call('POST', attachPath(id), { headers: chunked })).status, 411);
  });

  test('a log keeps the characters of a long line whole, and tells its time once', async () => {
    const line = `${'x'.repeat(16383)}ä${'y'.repeat(40_000)}`;
    const id = await create([
      'sh',
      '-c',
      `head -c 16383 /dev/zero | tr '\\0' x; printf '\\303\\244'; \
      head -c 40000 /dev/zero | tr '\\0' y; echo; echo short`,
    ]);
    await start(id);
    await exitCode(id);
    const said = (await daemon.call('GET', `/containers/${id}/logs?stdout=1&timestamps=1`)).text;
    assert.equal(said.match(/\d{4}-\d\d-\d\dT/g)?.length, 2);
    const raw = (await daemon.call('GET', `/containers/${id}/logs?stdout=1&tail=all`)).text;
    assert.ok(raw.includes('ä'));
    assert.equal(raw.replace(/[^xyä]/g, ''), line);
  });

  test('a client that goes away takes nothing with it', async () => {
    const id = await create(['sh', '-c', 'while :; do echo x; sleep 0.05; done'], { AttachStdout: true });
    const stream = await openStream(daemon.socketPath, { path: attachPath(id) });
    await start(id);
    await once(stream.socket.resume(), 'data');
    stream.socket.destroy();
    const logs = await openStream(daemon.socketPath, {
      method: 'GET',
      path: `/containers/${id}/logs?stdout=1&follow=1`,
      upgrade: false,
    });
    await once(logs.socket.resume(), 'data');
    logs.socket.destroy();
    const state = await daemon.call('GET', `/containers/${id}/json`);
    assert.equal(state.json<{ State: { Running: boolean } }>().State.Running, true);
    assert.equal((await daemon.call('DELETE', `/containers/${id}?force=1`)).status, 204);
  });

  test('the end of a piped input ends an exec, a large one passes whole', async () => {
    const id = await create(['sleep', '100000']);
    await start(id);
    const Cmd = ['sh', '-c', 'wc -c; exit 9'];
    const body = { Cmd, AttachStdin: true, AttachStdout: true, AttachStderr: true };
    const exec = (await daemon.call('POST', `/containers/${id}/exec`, { body })).json<{ Id: string }>().Id;
    const stream = await openStream(daemon.socketPath, { path: `/exec/${exec}/start`, body: { Tty: false } });
    assert.equal(stream.status, 'HTTP/1.1 101 UPGRADED');
    stream.socket.end(Buffer.alloc(5_000_000, 'x'));
    assert.equal(demultiplex(await readRest(stream)).stdout.trim(), '5000000');
    const told = (await daemon.call('GET', `/exec/${exec}/json`)).json<{
      ExitCode: number;
      Running: boolean;
    }>();
    assert.deepEqual([told.ExitCode, told.Running], [9, false]);
    const again = await daemon.call('POST', `/exec/${exec}/start`, { body: {} });
    assert.equal(again.status, 409, again.text);
    await daemon.call('DELETE', `/containers/${id}?force=1`);
  });

  test('what cannot be executed is said in the stream of the exec, and its exit code kept', async () => {
    const id = await create(['sleep', '100000']);
    await start(id);
    const body = { Cmd: ['no-such-command'], AttachStdout: true, AttachStderr: true };
    const exec = (await daemon.call('POST', `/containers/${id}/exec`, { body })).json<{ Id: string }>().Id;
    const stream = await openStream(daemon.socketPath, { path: `/exec/${exec}/start`, body: {} });
    stream.socket.end();
    assert.match(demultiplex(await readRest(stream)).stderr, /no-such-command.*executable file not found/);
    assert.equal((await daemon.call('GET', `/exec/${exec}/json`)).json<{ ExitCode: number }>().ExitCode, 127);
    for (const [wish, message] of [
      [{ User: 'nosuch' }, /unable to find user nosuch/],
      [{ WorkingDir: '/nodir' }, /nodir/],
    ] as const) {
      const other = { ...body, Cmd: ['true'], ...wish };
      const { Id } = (await daemon.call('POST', `/containers/${id}/exec`, { body: other })).json<{
        Id: string;
      }>();
      const said = await openStream(daemon.socketPath, { path: `/exec/${Id}/start`, body: {} });
      assert.match(said.status, /101/);
      said.socket.end();
      assert.match(demultiplex(await readRest(said)).stderr, message);
      const { ExitCode } = (await daemon.call('GET', `/exec/${Id}/json`)).json<{ ExitCode: number }>();
      assert.ok(ExitCode === 126 || ExitCode === 127, `${ExitCode}`);
    }
    await daemon.call('DELETE', `/containers/${id}?force=1`);
  });

  test('attach with logs=1 replays what was said before it', async () => {
    const id = await create(['sh', '-c', 'echo before']);
    await start(id);
    await exitCode(id);
    const answer = await daemon.call('POST', `/containers/${id}/attach?logs=1&stdout=1&stderr=1`);
    assert.match(answer.text, /before\n/);
  });

  test('a terminal’s output is raw, its size is there from the first, and can be changed', async () => {
    const HostConfig = { ConsoleSize: [50, 237] };
    const id = await create(['sh', '-c', 'stty size; read go; stty size'], {
      ...stdio,
      Tty: true,
      HostConfig,
    });
    const stream = await openStream(daemon.socketPath, { path: attachPath(id) });
    assert.match(stream.headers, /raw-stream/);
    await start(id);
    let first = '';
    for (; !first.includes('\n'); stream.socket.pause())
      first += String((await once(stream.socket.resume(), 'data'))[0]);
    assert.equal(first, '50 237\r\n');
    assert.equal((await daemon.call('POST', `/containers/${id}/resize?h=33&w=99`)).status, 204);
    for (let run = 0; run < 10; run++) {
      const body = { Cmd: ['stty', 'size'], AttachStdout: true, Tty: true };
      const exec = (await daemon.call('POST', `/containers/${id}/exec`, { body })).json<{ Id: string }>().Id;
      const start = { Tty: true, ConsoleSize: [51, 236] };
      const own = await openStream(daemon.socketPath, { path: `/exec/${exec}/start`, body: start });
      assert.equal((await readRest(own)).toString(), '51 236\r\n');
    }
    stream.socket.write('go\n');
    assert.match((await readRest(stream)).toString(), /33 99/);
  });

  test('stats come once or as a stream, with the previous sample in each', async () => {
    const id = await create(['sleep', '100000']);
    await start(id);
    interface Sample {
      read: string;
      cpu_stats: { system_cpu_usage: number };
      precpu_stats: { system_cpu_usage?: number };
      memory_stats: { usage: number };
    }
    const once_ = (await daemon.call('GET', `/containers/${id}/stats?stream=0`)).json<Sample>();
    assert.ok(once_.memory_stats.usage > 0);
    assert.ok(once_.cpu_stats.system_cpu_usage > (once_.precpu_stats.system_cpu_usage ?? Number.NaN));
    const shot = (await daemon.call('GET', `/containers/${id}/stats?stream=0&one-shot=1`)).json<Sample>();
    assert.equal(shot.precpu_stats.system_cpu_usage, undefined);
    await daemon.call('POST', `/containers/${id}/kill`);
    await exitCode(id);
    const gone = (await daemon.call('GET', `/containers/${id}/stats?stream=0`)).json<Sample>();
    assert.equal(gone.read, '0001-01-01T00:00:00Z');
  });

  test('events of the past end at once, those of the future come as they happen', async () => {
    const filters = encodeURIComponent('{"event":["create"]}');
    const stream = await openStream(daemon.socketPath, {
      method: 'GET',
      path: `/events?filters=${filters}`,
      upgrade: false,
    });
    const next = once(stream.socket.resume(), 'data') as Promise<[Buffer]>;
    const id = await create(['true'], { Labels: { a: 'b' } });
    assert.match((await next)[0].toString(), new RegExp(`"Action":"create","Actor":\\{"ID":"${id}"`));
    stream.socket.destroy();
    const past = await daemon.call(
      'GET',
      `/events?since=0&until=${Math.floor(Date.now() / 1000) + 1}&filters=${filters}`,
    );
    const ids = past.text
      .trim()
      .split('\n')
      .map((line) => (JSON.parse(line) as { id: string }).id);
    assert.equal(ids.at(-1), id);
  });
});

async function residentBytes({ process: child }: ApiDaemon): Promise<number> {
  const status = await readFile(`/proc/${child.pid}/status`, 'utf8');
  return Number(/VmRSS:\s+(\d+) kB/.exec(status)?.[1]) * 1024;
}
