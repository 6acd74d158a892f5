// What a compose file would describe: a database in a virtual machine, a web server in a container, a client outside. They
// work by name, under a policy that allows what they need and no packet more.

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { CliHost } from '../fixtures/cli.ts';
import { assertOwnNamespace, Host, plugOutside, sh } from '../fixtures/network-lab.ts';

const UPLINK = '198.51.100.1';
const CLIENT = '198.51.100.9';
const METADATA = '169.254.169.254';
const HOST_SERVICE = 7070;
const DB_PORT = 5432;

let host: CliHost;
let client: Host;
let here: Host;

/** Serves a page on each port. */
function server(page: string, ...ports: readonly number[]): string {
  const each = ports.map((port) => `httpd -p ${port} -h /www`).join('; ');
  return `mkdir -p /www; echo ${page} > /www/index.html; ${each}; exec sleep 1000000`;
}

async function run(name: string, isolation: string, script: string, ...options: string[]): Promise<void> {
  const flags = ['-d', '--name', name, '--isolation', isolation, '--network', 'app', ...options];
  await host.ok('run', ...flags, 'busybox', 'sh', '-c', script);
}

/** The page, or what became of the attempt. */
async function fetch(from: string, to: string, port: number): Promise<string> {
  const url = `http://${to}:${port}/`;
  const { stdout, stderr, code } = await host.run('exec', from, 'timeout', '3', 'wget', '-qO-', url);
  return stdout.trim() || stderr.trim() || `code ${code}`;
}

async function addressOf(name: string): Promise<string> {
  const format = '{{(index .NetworkSettings.Networks "app").IPAddress}}';
  return (await host.ok('inspect', '-f', format, name)).trim();
}

type Count = Readonly<
  Record<'received' | 'sent' | 'deniedIn' | 'deniedOut' | 'spoofed', { packets: number }>
>;

async function countersOf(name: string): Promise<Count> {
  const view = JSON.parse(await host.ok('policy', 'show', '--format', 'json', name)) as {
    counters: Record<string, Count>;
  };
  assert.ok(view.counters['eth0'], name);
  return view.counters['eth0'];
}

before(async () => {
  assertOwnNamespace();
  [client, here] = await Promise.all([Host.open(), Host.openHere()]);
  plugOutside(client, 'uplink', [`${UPLINK}/24`], [`${CLIENT}/24`, `${METADATA}/32`]);
  // A neighbour that knows the way in, and a cloud's metadata behind it.
  client.run('ip', 'route', 'add', '10.0.0.0/8', 'via', UPLINK);
  sh('ip', 'route', 'add', METADATA, 'via', CLIENT);
  for (const address of [CLIENT, METADATA]) await client.call('listen', 80, address);
  await here.call('listen', HOST_SERVICE, '0.0.0.0');
  host = await CliHost.open();
  await host.ok('image', 'create', 'busybox');
  await host.ok('network', 'create', '--subnet', '10.77.0.0/24', 'app');
});

after(async () => {
  const leaks = await host.close();
  for (const end of [client, here]) end.close();
  assert.deepEqual(leaks, []);
});

describe('a database in a VM, a web server in a container, a client outside', () => {
  before(async () => {
    const web = ['-p', '0.0.0.0:8080:80', '--policy', `allow to @db:${DB_PORT}`, '--policy', 'deny to any'];
    await run('web', 'container', server('web', 80), ...web);
    await run('other', 'container', server('other', 80));
    // As a compose file carries it.
    const policy = `berth.policy=allow from @web:${DB_PORT}/tcp; deny from any; deny to any`;
    await run('db', 'vm', server('db', DB_PORT, 80), '--network-alias', 'postgres', '--label', policy);
    await host.ok(
      'exec',
      'db',
      'timeout',
      '10',
      'sh',
      '-c',
      'until wget -qO /dev/null http://127.0.0.1/; do sleep 0.1; done',
    );
  });

  after(async () => void (await host.ok('rm', '-f', 'web', 'other', 'db')));

  test('what is needed works, by name', async () => {
    assert.equal(client.run('wget', '-qO-', '-T', '3', `http://${UPLINK}:8080/`).trim(), 'web');
    for (const name of ['db', 'postgres']) assert.equal(await fetch('web', name, DB_PORT), 'db');
    assert.equal(await fetch('other', 'web', 80), 'web');
  });

  test('nothing else does, and each attempt is counted where it was refused', async () => {
    const db = await addressOf('db');
    const before = { web: await countersOf('web'), db: await countersOf('db') };
    const refused = /refused|prohibited|unreachable|code 1|code 143/;
    assert.match(await fetch('web', 'db', 80), refused);
    assert.match(await fetch('web', CLIENT, 80), refused);
    assert.match(await fetch('web', METADATA, 80), refused);
    assert.match(await fetch('web', UPLINK, HOST_SERVICE), refused);
    assert.match(await fetch('other', 'db', DB_PORT), refused);
    assert.match(await fetch('db', 'web', 80), refused);
    assert.match(await fetch('db', CLIENT, 80), refused);
    await client.hearsNothing(db, DB_PORT);
    const after = { web: await countersOf('web'), db: await countersOf('db') };
    assert.ok(after.web.deniedOut.packets >= before.web.deniedOut.packets + 4);
    assert.ok(after.db.deniedOut.packets >= before.db.deniedOut.packets + 2);
    assert.ok(after.db.deniedIn.packets > before.db.deniedIn.packets);
  });

  test('who has no policy reaches what it wants, until it is denied by one word', async () => {
    assert.match(await fetch('other', METADATA, 80), /bad header|198\.51|10\.77|error getting response/);
    await host.ok('policy', 'set', 'network:app', 'deny to metadata', 'deny to host');
    assert.match(await fetch('other', METADATA, 80), /refused|prohibited/);
    assert.match(await fetch('other', UPLINK, HOST_SERVICE), /refused|prohibited/);
    assert.equal(await fetch('other', 'web', 80), 'web');
    assert.match(await host.ok('policy', 'ls'), /network:app +deny to metadata; deny to host/);
    await host.ok('policy', 'unset', 'network:app');
  });

  test('the next daemon holds to the same', async () => {
    await host.killDaemons('SIGKILL');
    assert.match(await fetch('other', 'db', DB_PORT), /refused|prohibited/);
    assert.equal(await fetch('web', 'db', DB_PORT), 'db');
  });

  test('a rule that cannot be read is refused, with the place and an example', async () => {
    const { code, stderr } = await host.run('policy', 'set', 'web', 'allow to db 5432');
    assert.notEqual(code, 0);
    assert.match(stderr, /policy rule 1, "allow to db 5432", at "/);
    assert.equal(await fetch('web', 'db', DB_PORT), 'db');
  });
});

for (const isolation of ['container', 'vm'] as const)
  test(`a ${isolation} with all privileges takes nobody's address`, async () => {
    await run(
      'victim',
      'container',
      server('victim', 80),
      '--policy',
      'allow from @friend',
      '--policy',
      'deny from any',
    );
    await run('friend', 'container', 'exec sleep 1000000');
    await run('evil', isolation, 'exec sleep 1000000', '--privileged');
    const [victim, friend] = [await addressOf('victim'), await addressOf('friend')];
    const asEvil = (...command: string[]) => host.run('exec', '--privileged', 'evil', ...command);
    assert.equal(await fetch('friend', 'victim', 80), 'victim');
    assert.match(await fetch('evil', 'victim', 80), /refused|prohibited/);
    assert.equal((await asEvil('ip', 'addr', 'add', `${friend}/32`, 'dev', 'eth0')).code, 0);
    const spoofed = await asEvil('timeout', '2', 'nc', '-s', friend, victim, '80');
    assert.notEqual(spoofed.code, 0);
    // For the host, the friend's and the gateway's addresses stay where they are.
    await asEvil('timeout', '2', 'arping', '-U', '-c', '2', '-I', 'eth0', '-s', friend, friend);
    assert.equal(await fetch('friend', 'victim', 80), 'victim');
    assert.ok((await countersOf('evil')).spoofed.packets > 0);
    await host.ok('rm', '-f', 'victim', 'friend', 'evil');
  });
