// What goes wrong with networks, and what must not stay of it. How a workload is isolated has no part in it.

import assert from 'node:assert/strict';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { type AddressInfo, createServer } from 'node:net';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { findInterfaces } from '../fixtures/engine-leaks.ts';
import { Host, sh } from '../fixtures/network-lab.ts';
import {
  addressOf,
  askFrom,
  here,
  host,
  ready,
  remove,
  serve,
  settingsOf,
  setUp,
} from '../fixtures/networks.ts';

setUp();

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

test('a bridge that was there before is used when it is named, and left as it was', async (t) => {
  const look = () => sh('ip', '-o', 'addr', 'show', 'dev', 'theirs0');
  const settings = () =>
    sh('sh', '-c', 'cat /proc/sys/net/ipv4/conf/theirs0/* /proc/sys/net/ipv6/conf/theirs0/accept_ra');
  sh('ip', 'link', 'add', 'theirs0', 'type', 'bridge');
  sh('ip', 'link', 'add', 'plain0', 'type', 'veth', 'peer', 'name', 'plain1');
  t.after(() => sh('sh', '-c', 'ip link del theirs0; ip link del plain0'));
  sh('ip', 'link', 'set', 'theirs0', 'addrgenmode', 'none');
  sh('ip', 'addr', 'add', '10.77.0.9/24', 'dev', 'theirs0');
  sh('ip', 'link', 'set', 'theirs0', 'up');
  const create = (bridge: string) =>
    host.run(
      ...['network', 'create', '--subnet', '10.77.0.0/24', '--ipv6'],
      ...['-o', `com.docker.network.bridge.name=${bridge}`, 'guest'],
    );
  assert.match((await create('plain0')).stderr, /interface plain0 exists and is no bridge/);
  sh('ip', 'link', 'set', 'plain0', 'master', 'theirs0');
  assert.match((await create('theirs0')).stderr, /bridge theirs0 joins other interfaces \(plain0\)/);
  sh('ip', 'link', 'set', 'plain0', 'nomaster');
  const before = [look(), settings()];
  for (const remove of [
    ['network', 'rm', 'guest'],
    ['system', 'uninstall', '-f'],
  ]) {
    const { code, stderr } = await create('theirs0');
    assert.equal(code, 0, stderr);
    await serve('web', 'container', '--network', 'guest');
    assert.match(askFrom(here, await addressOf('web', 'guest'), 80), /^web sees 10\.77\.0\.9$/);
    await host.ok('rm', '-f', 'web');
    await host.ok(...remove);
    assert.deepEqual([look(), settings()], before, remove.join(' '));
  }
});

test('a bridge that somebody made under the name of ours is neither used nor removed', async (t) => {
  await host.ok('network', 'create', 'late');
  const name = (await host.ok('network', 'inspect', '-f', '{{.Id}}', 'late')).slice(0, 8);
  sh('ip', 'link', 'add', `berth-${name}`, 'type', 'bridge');
  t.after(() => sh('ip', 'link', 'del', `berth-${name}`));
  const { stderr } = await host.run('run', '--rm', '--network', 'late', 'busybox', 'true');
  assert.match(stderr, /berth-[0-9a-f]{8} exists/);
  await host.ok('network', 'rm', 'late');
  assert.match(sh('ip', 'link'), new RegExp(`berth-${name}`));
});

test('a client that keeps sending to a UDP port reaches the workload that has it now', async (t) => {
  const client = createSocket('udp4');
  const sending = setInterval(() => client.send('x', 8053, '127.0.0.1'), 20);
  client.on('error', () => {});
  t.after(() => {
    clearInterval(sending);
    client.close();
  });
  await once(client, 'listening');
  const answers = async (name: string) => {
    const pid = Number(await host.ok('inspect', '-f', '{{.State.Pid}}', name));
    const inside = await Host.openIn(pid);
    await inside.call('listenUdp', 9000, '0.0.0.0');
    await once(client, 'message', { signal: AbortSignal.timeout(10_000) });
    inside.close();
  };
  const run = ['run', '-d', '--isolation', 'container'];
  await host.ok(...run, '--name', 'first', '-p', '8053:9000/udp', 'busybox', 'sleep', '1000');
  await answers('first');
  const address = await addressOf('first');
  await remove('first');
  await host.ok(...run, '--name', 'heir', '--ip', address, 'busybox', 'sleep', '1000');
  await host.ok(...run, '--name', 'second', '-p', '8053:9000/udp', 'busybox', 'sleep', '1000');
  await answers('second');
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

test('a daemon that dies while it connects or disconnects is followed by one that knows which it was', async () => {
  await host.ok('network', 'create', 'side');
  await serve('moving', 'container');
  for (const verb of ['connect', 'disconnect'])
    for (const wait of [10, 40]) {
      const changing = host.run('network', verb, 'side', 'moving');
      await delay(wait);
      await host.killDaemons('SIGKILL');
      await changing;
      const listed = (await settingsOf('moving')).Networks['side'] !== undefined;
      const { stdout } = await host.run('exec', 'moving', 'ip', 'addr');
      assert.equal(stdout.includes('eth1'), listed, `${verb} after ${wait} ms`);
      assert.equal((await findInterfaces(listed ? 2 : 1)).length, listed ? 2 : 1);
    }
  await remove('moving');
  await host.ok('network', 'rm', 'side');
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
  const rival = await host.run(...run, '--network', 'tiny', '--ip', '10.99.0.2', 'busybox', 'true');
  assert.match(rival.stderr, /10.99.0.2 of network tiny is in use by workload [0-9a-f]{12}/);
  const full = await host.run(...run, '--network', 'tiny', 'busybox', 'true');
  assert.match(full.stderr, /network tiny has no free address left in 10.99.0.0\/30/);
  await remove('only');
  await host.ok('network', 'rm', 'tiny');
  assert.deepEqual(await findInterfaces(), []);
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
