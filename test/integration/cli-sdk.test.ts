import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { type BerthClient, connect } from '../../src/sdk/index.ts';
import { CliHost } from '../fixtures/cli.ts';

let host: CliHost;
let client: BerthClient;

before(async () => {
  host = await CliHost.open();
  await host.ok('image', 'create', 'busybox');
  client = connect({ host: host.env['BERTH_HOST'] ?? '' });
});

after(async () => {
  client.close();
  assert.deepEqual(await host.close(), []);
});

for (const isolation of ['container', 'vm'] as const) {
  describe(`the SDK with isolation ${isolation}`, () => {
    test('runs a command and returns its output and exit code', async () => {
      await using box = await client.run('busybox', ['sh', '-c', 'echo hi; echo no >&2; exit 3'], {
        isolation,
      });
      assert.deepEqual(await box.finished(), { exitCode: 3, stdout: 'hi\n', stderr: 'no\n' });
    });

    test('writes to a command, runs another beside it and removes it in the end', async () => {
      let id: string;
      {
        await using box = await client.run('busybox', ['cat'], { isolation, stdin: true, env: { A: 'b' } });
        id = box.id;
        assert.deepEqual(await box.exec(['sh', '-c', 'echo $A; exit 2']), {
          exitCode: 2,
          stdout: 'b\n',
          stderr: '',
        });
        await box.write('typed');
        box.endInput();
        assert.deepEqual(await box.finished(), { exitCode: 0, stdout: 'typed', stderr: '' });
      }
      await assert.rejects(client.containers.inspect(id), { code: 'not-found' });
    });

    test('leaves nothing when the command cannot be executed', async () => {
      await assert.rejects(client.run('busybox', ['no-such-command'], { isolation }), { exitStatus: 127 });
      assert.deepEqual(await client.containers.list({ all: true }), []);
    });

    test('kills what still runs when a box is disposed of', async () => {
      let id: string;
      {
        await using box = await client.run('busybox', ['sleep', '1000'], { isolation });
        id = box.id;
      }
      await assert.rejects(client.containers.inspect(id), { code: 'not-found' });
    });
  });
}

test('events of the SDK end with its signal', async () => {
  const abort = new AbortController();
  // Events since now are replayed to a subscription that begins later.
  const since = String(Math.floor(Date.now() / 1000));
  const filters = { event: ['create'], type: ['container'] };
  const events = client.system.events({ since, filters, signal: abort.signal });
  const { Id } = await client.containers.create({ Image: 'busybox' });
  let event = (await events.next()).value;
  while (event?.Actor.ID !== Id) event = (await events.next()).value;
  const next = events.next();
  abort.abort();
  await assert.rejects(next, { code: 'cancelled' });
  await client.containers.remove(Id);
});
