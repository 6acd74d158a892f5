// Networks as their users see them: by the command line, for each isolation and between the two.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { type AddressInfo, createServer } from 'node:net';
import { join } from 'node:path';
import { after, afterEach, before, describe, test } from 'node:test';
import { CliHost } from '../fixtures/cli.ts';
import { a, startUpstream } from '../fixtures/dns.ts';
import { findInterfaces } from '../fixtures/engine-leaks.ts';
import { assertOwnNamespace, Host, plugOutside, sh } from '../fixtures/network-lab.ts';

const ISOLATIONS = ['container', 'vm'] as const;
const UPLINK = '198.51.100.1';
const CLIENT = '198.51.100.9';

/** Of servers on the host outside, each with one of its own. */
let ports = 7000;
const nextPort = () => ++ports;

let host: CliHost;
let outside: Host;
let here: Host;

before(async () => {
  assertOwnNamespace();
  [outside, here] = await Promise.all([Host.open(), Host.openHere()]);
  plugOutside(outside, 'uplink', [`${UPLINK}/24`], [`${CLIENT}/24`]);
  host = await CliHost.open();
  await host.ok('image', 'create', 'busybox');
});

after(async () => {
  const leaks = await host.close();
  for (const end of [outside, here]) end.close();
  assert.deepEqual(leaks, []);
  const rules = sh('nft', 'list', 'ruleset');
  assert.doesNotMatch(rules, /10\.208\.\d+\.[2-9]/);
});

afterEach(async () => {
  const left = (await host.ok('ps', '-aq')).split('\n').filter(Boolean);
  if (left.length > 0) await host.ok('rm', '-f', ...left);
  await host.ok('network', 'prune', '-f');
});

interface Details {
  readonly NetworkSettings: {
    readonly Ports: Record<string, { HostIp: string; HostPort: string }[] | null>;
    readonly Networks: Record<string, { IPAddress: string; GlobalIPv6Address: string }>;
  };
}

async function settingsOf(name: string): Promise<Details['NetworkSettings']> {
  const [details] = JSON.parse(await host.ok('inspect', name)) as [Details];
  return details.NetworkSettings;
}

async function addressOf(name: string, network = 'bridge'): Promise<string> {
  return (await settingsOf(name)).Networks[network]?.IPAddress ?? '';
}

/** Serves its own name and the client's address over HTTP on port 80. */
async function serve(name: string, isolation: string, ...options: string[]): Promise<void> {
  const page = `echo "#!/bin/sh\necho; echo ${name} sees \\$REMOTE_ADDR" > /www/cgi-bin/who; chmod 755 /www/cgi-bin/who`;
  const script = `mkdir -p /www/cgi-bin; ${page}; exec httpd -f -p 80 -h /www`;
  const flags = ['-d', '--name', name, '--isolation', isolation, ...options];
  await host.ok('run', ...flags, 'busybox', 'sh', '-c', script);
  await ready(name);
}

/** Its server answers. */
async function ready(name: string): Promise<void> {
  await host.ok(
    'exec',
    name,
    'timeout',
    '10',
    'sh',
    '-c',
    'until wget -qO /dev/null http://127.0.0.1/cgi-bin/who; do sleep 0.05; done',
  );
}

/** What the server there says, asked from within a workload. */
async function ask(from: string, to: string, port = 80): Promise<string> {
  const { stdout, stderr } = await host.run(
    ...['exec', from, 'timeout', '3', 'wget', '-qO-', `http://${to}:${port}/cgi-bin/who`],
  );
  return plain(stdout) || stderr.trim() || 'nothing';
}

/** Asked from the host, or from another one. */
function askFrom(end: Host, to: string, port: number): string {
  try {
    return plain(end.run('wget', '--tries=1', '-T', '2', '-qO-', `http://${to}:${port}/cgi-bin/who`));
  } catch {
    return 'nothing';
  }
}

/** httpd shows IPv4 as IPv6. */
function plain(text: string): string {
  return text.trim().replace(/\[::ffff:([\d.]+)\]/, '$1');
}

const remove = (...names: string[]) => host.ok('rm', '-f', ...names);

test('uninstall leaves nothing on the host, not while workloads run, and what starts then has all it needs', async () => {
  await serve('last', 'container', '-p', '8080:80');
  const busy = await host.run('system', 'uninstall', '-f');
  assert.match(busy.stderr, /workloads run on networks: last: stop them first/);
  assert.match(askFrom(here, '127.0.0.1', 8080), /^last sees/);
  await host.ok('stop', '-t', '0', 'last');
  await host.ok('system', 'uninstall', '-f');
  assert.doesNotMatch(sh('nft', 'list', 'ruleset'), /berth/);
  assert.doesNotMatch(sh('ip', 'link'), /berth/);
  await host.ok('start', 'last');
  await ready('last');
  assert.match(askFrom(here, '127.0.0.1', 8080), /^last sees/);
});

test('what ended while no daemon looked is let in nowhere any more', async () => {
  await serve('gone', 'container', '-p', '8080:80');
  await host.killDaemons('SIGKILL');
  const [{ State }] = JSON.parse(await host.ok('inspect', 'gone')) as [{ State: { Pid: number } }];
  await host.killDaemons('SIGKILL');
  process.kill(State.Pid, 'SIGKILL');
  await host.ok('rm', '-f', 'gone');
  assert.doesNotMatch(sh('nft', 'list', 'ruleset'), /8080/);
});

test('a hundred joins and leaves leave nothing behind', async () => {
  await host.ok('network', 'create', 'revolving');
  await serve('dizzy', 'container');
  for (let round = 0; round < 100; round++) {
    await host.ok('network', 'connect', 'revolving', 'dizzy');
    await host.ok('network', 'disconnect', 'revolving', 'dizzy');
  }
  assert.equal((await findInterfaces(1)).length, 1);
  await host.ok('network', 'rm', 'revolving');
  assert.doesNotMatch(sh('ip', 'link'), /berth-/);
  assert.doesNotMatch(sh('nft', 'list', 'ruleset'), /10\.208\.(1[6-9]|[2-9]\d)\./);
});

test('any free port of the host, all exposed ones, and a range of them', async () => {
  await serve('any', 'container', '-p', '80', '-p', '127.0.0.1:9000-9010:81', '-p', '9020-9021:90-91');
  const { Ports } = await settingsOf('any');
  const port = Number(Ports['80/tcp']?.[0]?.HostPort);
  assert.ok(port >= 49152, String(port));
  assert.deepEqual(Ports['81/tcp'], [{ HostIp: '127.0.0.1', HostPort: '9000' }]);
  assert.deepEqual(Ports['91/tcp'], [{ HostIp: '127.0.0.1', HostPort: '9021' }]);
  assert.match(askFrom(here, '127.0.0.1', port), /^any sees/);
  await host.ok('restart', '-t', '0', 'any');
  assert.deepEqual((await settingsOf('any')).Ports, Ports);
  await remove('any');
});

test('a port that is taken is refused, whoever has it, and nothing stays of the attempt', async (t) => {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => server.close());
  const taken = (server.address() as AddressInfo).port;
  await serve('first', 'container', '-p', '8080:80');
  const attempts = [
    [`${taken}:80`, /already allocated to a program of this host/],
    ['8080:80', /127.0.0.1:8080 failed: port is already allocated to container first/],
    ['0.0.0.0:8080:80', /already allocated to container first/],
    ['[::1]:8090:80', /network bridge has no IPv6/],
  ] as const;
  for (const [port, message] of attempts) {
    const flags = ['run', '-d', '--rm', '--name', 'second', '--isolation', 'container'];
    const { code, stderr } = await host.run(...flags, '-p', '8070:70', '-p', port, 'busybox', 'true');
    assert.equal(code, 125);
    assert.match(stderr, message);
  }
  await serve('second', 'container', '-p', '8070:80');
  await remove('first', 'second');
});

test('what cannot be is refused by name, and nothing is left of it', async () => {
  await host.ok('network', 'create', '--subnet', '10.99.0.0/30', 'tiny');
  const run = ['run', '-d', '--isolation', 'container'];
  const refused: [string[], RegExp][] = [
    [['network', 'create', 'tiny'], /network with name tiny already exists/],
    [['network', 'create', '--subnet', '10.99.0.0/16', 'big'], /overlaps that of network tiny/],
    [
      ['network', 'create', '--subnet', '198.51.100.0/25', 'big'],
      /198.51.100.0\/24, which this host reaches/,
    ],
    [['network', 'create', '--subnet', '10.1.0.5/24', 'big'], /did you mean 10.1.0.0\/24/],
    [['network', 'create', 'host'], /predefined host network/],
    [['network', 'rm', 'bridge'], /pre-defined network and cannot be removed/],
    [['network', 'rm', 'nowhere'], /network nowhere not found/],
    [[...run, '--network', 'tiny', '--ip', '10.98.0.2', 'busybox'], /10.98.0.2 is not within network tiny/],
    [[...run, '--network', 'tiny', '--ip', '10.99.0.1', 'busybox'], /in use by the gateway/],
    [[...run, '--network', 'none', '--ip', '10.99.0.2', 'busybox'], /conflicting options/],
  ];
  for (const [args, message] of refused) {
    const { code, stderr } = await host.run(...args);
    assert.notEqual(code, 0, args.join(' '));
    assert.match(stderr, message);
  }
  await serve('only', 'container', '--network', 'tiny');
  const full = await host.run(...run, '--network', 'tiny', 'busybox', 'true');
  assert.match(full.stderr, /network tiny has no free address left in 10.99.0.0\/30/);
  await remove('only');
  await host.ok('network', 'rm', 'tiny');
  assert.deepEqual(await findInterfaces(), []);
});

for (const isolation of ISOLATIONS)
  describe(`networks of isolation ${isolation}`, () => {
    test('servers of its own are asked about what is outside, and workloads are found by name all the same', async (t) => {
      await startUpstream(t, () => ({ records: [a('192.0.2.7')] }), 53, UPLINK);
      const flags = ['-d', '--name', 'asker', '--isolation', isolation, '--network-alias', 'me'];
      await host.ok('run', ...flags, '--dns', UPLINK, 'busybox', 'sleep', '1000');
      const lookUp = (name: string) => host.ok('exec', 'asker', 'nslookup', name);
      assert.match(await lookUp('example.com'), /Address: 192\.0\.2\.7/);
      assert.ok((await lookUp('me')).includes(await addressOf('asker')));
    });

    test('names outside are found as soon as one network leads there, whichever is asked', async (t) => {
      await startUpstream(t, () => ({ records: [a('192.0.2.7')] }), 53, UPLINK);
      await host.ok('network', 'create', '--internal', 'inner');
      const flags = ['-d', '--name', 'asker', '--isolation', isolation, '--network', 'inner'];
      await host.ok('run', ...flags, '--dns', UPLINK, 'busybox', 'sleep', '1000');
      const lookUp = () => host.run('exec', 'asker', 'nslookup', 'example.com');
      assert.match((await lookUp()).stdout, /NXDOMAIN/);
      await host.ok('network', 'connect', 'bridge', 'asker');
      assert.match((await lookUp()).stdout, /Address: 192\.0\.2\.7/);
    });

    test('workloads reach each other by name, alias and short id, and see who asks', async () => {
      await serve('web', isolation, '--network-alias', 'site');
      const id = (await host.ok('inspect', '-f', '{{.Id}}', 'web')).slice(0, 12);
      await serve('asker', isolation);
      const address = await addressOf('asker');
      for (const name of ['web', 'site', 'WEB', id, await addressOf('web')])
        assert.equal(await ask('asker', name), `web sees ${address}`, name);
      await host.ok('rename', 'web', 'shop');
      assert.equal(await ask('asker', 'shop'), `web sees ${address}`);
      assert.match(await ask('asker', 'web'), /bad address/);
      await remove('shop');
      assert.match(await ask('asker', 'shop'), /bad address/);
      await remove('asker');
    });

    test('a port is published on 127.0.0.1 unless an address is given, and found again', async () => {
      await serve('near', isolation, '-p', '8080:80');
      await serve('far', isolation, '-p', '0.0.0.0:8081:80');
      assert.equal(await host.ok('port', 'near'), '80/tcp -> 127.0.0.1:8080\n');
      assert.match(askFrom(here, '127.0.0.1', 8080), /^near sees/);
      assert.equal(askFrom(here, UPLINK, 8080), 'nothing');
      assert.equal(askFrom(outside, UPLINK, 8080), 'nothing');
      assert.match(askFrom(here, '127.0.0.1', 8081), /^far sees/);
      assert.match(askFrom(here, UPLINK, 8081), /^far sees/);
      assert.equal(askFrom(outside, UPLINK, 8081), `far sees ${CLIENT}`);
      // From the network that the port leads to.
      assert.match(await ask('near', UPLINK, 8081), /^far sees/);
      assert.match(await ask('far', UPLINK, 8081), /^far sees/);
      await remove('near', 'far');
      assert.equal(askFrom(here, '127.0.0.1', 8080), 'nothing');
    });

    test('networks are joined and left while a workload runs, and its connections live on', async () => {
      await host.ok('network', 'create', '--subnet', '10.99.0.0/24', '--label', 'a=b', 'side');
      await serve('hub', isolation, '-p', '0.0.0.0:8080:80');
      await serve('spoke', isolation, '--network', 'side', '--ip', '10.99.0.77');
      assert.match(await ask('spoke', 'hub'), /bad address/);
      assert.match(await ask('spoke', await addressOf('hub')), /refused|prohibited/);
      const connection = await outside.call('open', UPLINK, 8080, 2000).catch(() => 0);
      await host.ok('network', 'connect', '--alias', 'center', 'side', 'hub');
      assert.equal(await ask('spoke', 'center'), 'hub sees 10.99.0.77');
      assert.equal(await ask('hub', 'spoke'), `spoke sees ${await addressOf('hub', 'side')}`);
      assert.match(await host.ok('network', 'inspect', 'side'), /"Name": "hub"/);
      const busy = await host.run('network', 'rm', 'side');
      assert.match(busy.stderr, /network side has active endpoints: (hub, spoke|spoke, hub)/);
      await host.ok('network', 'disconnect', 'side', 'hub');
      assert.match(await ask('spoke', 'center'), /bad address/);
      assert.ok(connection !== 0);
      assert.equal(askFrom(outside, UPLINK, 8080), `hub sees ${CLIENT}`);
      await remove('hub', 'spoke');
      await host.ok('network', 'rm', 'side');
    });

    test('an internal network has members and nothing else', async () => {
      await host.ok('network', 'create', '--internal', 'cellar');
      await serve('inner', isolation, '--network', 'cellar');
      await serve('other', isolation, '--network', 'cellar');
      assert.match(await ask('inner', 'other'), /^other sees/);
      const port = nextPort();
      await outside.call('listen', port, CLIENT);
      const { stdout, code } = await host.run('exec', 'inner', 'nc', '-w', '2', CLIENT, `${port}`);
      assert.deepEqual([stdout, code], ['', 1]);
      await remove('inner', 'other');
      await host.ok('network', 'prune', '-f');
      assert.doesNotMatch(await host.ok('network', 'ls'), /cellar/);
    });

    test('outside a workload is seen as the host', async () => {
      const port = nextPort();
      await outside.call('listen', port, CLIENT);
      await serve('inner', isolation);
      assert.equal((await host.ok('exec', 'inner', 'nc', '-w', '2', CLIENT, `${port}`)).trim(), UPLINK);
      await remove('inner');
    });

    test('IPv6 is there when it was asked for', async () => {
      await host.ok('network', 'create', '--ipv6', '--subnet', 'fd00:99::/64', 'six');
      await serve('one', isolation, '--network', 'six', '--ip6', 'fd00:99::11');
      await serve('two', isolation, '--network', 'six', '-p', '[::1]:8080:80');
      const { GlobalIPv6Address } = (await settingsOf('two')).Networks['six'] ?? {};
      assert.equal(await ask('one', `[${GlobalIPv6Address}]`), 'two sees [fd00:99::11]');
      await remove('one', 'two');
      await host.ok('network', 'rm', 'six');
    });

    test('the death of the daemon cuts nothing, and the next one knows all', async () => {
      await serve('lasting', isolation, '-p', '8080:80');
      const address = await addressOf('lasting');
      await host.killDaemons('SIGKILL');
      assert.match(askFrom(here, '127.0.0.1', 8080), /^lasting sees/);
      await serve('newcomer', isolation);
      assert.equal(await addressOf('lasting'), address);
      assert.notEqual(await addressOf('newcomer'), address);
      assert.match(await ask('newcomer', 'lasting'), /^lasting sees/);
      assert.match(await ask('lasting', 'newcomer'), /^newcomer sees/);
      const { stderr } = await host.run('run', '--rm', '-p', '8080:80', 'busybox', 'true');
      assert.match(stderr, /already allocated to container lasting/);
      await remove('lasting', 'newcomer');
    });

    test('a bridge and rules that somebody took away come back with the next start', async () => {
      await serve('patient', isolation, '-p', '8080:80');
      sh('nft', 'flush', 'ruleset');
      sh('ip', 'link', 'del', 'berth0');
      assert.equal(askFrom(here, '127.0.0.1', 8080), 'nothing');
      await serve('healer', isolation);
      assert.match(await ask('healer', 'patient'), /^patient sees/);
      assert.match(askFrom(here, '127.0.0.1', 8080), /^patient sees/);
      await remove('patient', 'healer');
    });
  });

for (const end of ['removed', 'left by its supervisor'] as const)
  test(`a container whose network another shared takes it along when it is ${end}`, async () => {
    await serve('owner', 'container');
    const id = (await host.ok('inspect', '-f', '{{.Id}}', 'owner')).trim();
    const flags = ['-d', '--name', 'joiner', '--cap-add', 'NET_ADMIN', '--network', 'container:owner'];
    await host.ok('run', ...flags, 'busybox', 'sleep', '1000');
    const ping = ['exec', 'joiner', 'ping', '-c', '1', '-W', '1', '10.208.0.1'];
    assert.equal((await host.run(...ping)).code, 0);
    if (end === 'removed') await host.ok('rm', '-f', 'owner');
    else {
      const shim = await readFile(join(host.root, 'state/workloads', id, 'shim.pid'), 'utf8');
      const waiting = host.start('wait', 'owner');
      process.kill(Number(shim.split(' ')[0]), 'SIGKILL');
      await waiting.done;
      await host.ok('rm', 'owner');
    }
    assert.notEqual((await host.run(...ping)).code, 0);
    assert.deepEqual(await findInterfaces(), []);
  });
