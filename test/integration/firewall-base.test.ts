// What the firewall does without a word: addresses that are not theirs, networks apart, published ports.

import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { Nft } from '../../src/host/index.ts';
import { Firewall } from '../../src/network/firewall/firewall.ts';
import type { FirewallNetwork, FirewallWorkload } from '../../src/network/firewall/types.ts';
import { assertOwnNamespace, Host, makeBridge, plug, plugOutside, sh } from '../fixtures/network-lab.ts';

const NETWORK: FirewallNetwork = {
  id: 'n1',
  name: 'bridge',
  bridge: 'berth0',
  subnets: ['10.208.0.0/20', 'fd00:d0::/64'],
  gateways: ['10.208.0.1', 'fd00:d0::1'],
  internal: false,
  masquerade: true,
};
const OTHER: FirewallNetwork = {
  ...NETWORK,
  id: 'n2',
  name: 'other',
  bridge: 'berth-2',
  subnets: ['10.208.16.0/20'],
  gateways: ['10.208.16.1'],
};
const workload = (name: string, number: number, network = NETWORK): FirewallWorkload => ({
  id: name,
  name,
  labels: {},
  endpoints: [
    {
      bridge: network.bridge,
      port: `p-${name}`,
      mac: `02:00:00:00:00:0${number}`,
      addresses: network.subnets.map((subnet) =>
        subnet.replace(/0\/20/, `${number}`).replace(/::\/64/, `::${number}`),
      ),
    },
  ],
  published: [],
});

const nft = new Nft();
const firewall = new Firewall(nft, 'berth');
const hosts: Host[] = [];
const web = workload('web', 2);
const db = workload('db', 3);
const far = workload('far', 4, OTHER);
let [webHost, dbHost, farHost, outside, here] = [] as unknown as [Host, Host, Host, Host, Host];

async function open(item: FirewallWorkload, network: FirewallNetwork): Promise<Host> {
  const host = await Host.open();
  hosts.push(host);
  const [endpoint] = item.endpoints;
  assert.ok(endpoint);
  plug(host, {
    ...endpoint,
    addresses: endpoint.addresses.map((address) => `${address}/${address.includes(':') ? 64 : 20}`),
    gateways: network.gateways,
  });
  for (const address of endpoint.addresses) {
    await host.call('listen', 80, address);
    await host.call('listenUdp', 80, address);
  }
  return host;
}

before(async () => {
  assertOwnNamespace();
  makeBridge('berth0', ['10.208.0.1/20', 'fd00:d0::1/64']);
  makeBridge('berth-2', ['10.208.16.1/20']);
  await firewall.rebuild([NETWORK, OTHER], [web, db, far]);
  [webHost, dbHost, farHost] = await Promise.all([open(web, NETWORK), open(db, NETWORK), open(far, OTHER)]);
  [outside, here] = await Promise.all([Host.open(), Host.openHere()]);
  hosts.push(outside, here);
  plugOutside(
    outside,
    'uplink',
    ['198.51.100.1/24', '2001:db8::1/64'],
    ['198.51.100.2/24', '2001:db8::2/64'],
  );
  await outside.call('listen', 80, '0.0.0.0');
  outside.run('ip', 'route', 'add', '10.208.0.0/12', 'via', '198.51.100.1');
  outside.run('ip', '-6', 'route', 'add', 'default', 'via', '2001:db8::1');
});
after(async () => {
  for (const host of hosts) host.close();
  await nft.close();
});

describe('without a policy', () => {
  it('workloads of one network reach each other, by their own addresses', async () => {
    assert.equal(await webHost.ask('10.208.0.3', 80), 'as 10.208.0.2');
    assert.equal(await webHost.ask('fd00:d0::3', 80), 'as fd00:d0::2');
    assert.equal(await webHost.askUdp('10.208.0.3', 80), 'as 10.208.0.2');
  });

  it('networks are apart, and who tries is told at once', async () => {
    assert.equal(await webHost.ask('10.208.16.4', 80), 'refused');
    assert.equal(await farHost.ask('10.208.0.2', 80), 'refused');
    // The kernel bounds how many ICMP errors a host gets.
    assert.doesNotMatch(await webHost.askUdp('10.208.16.4', 80, 300), /^as/);
  });

  it('outside is reached by the address of the host, and reaches nobody', async () => {
    assert.equal(await webHost.ask('198.51.100.2', 80), 'as 198.51.100.1');
    await outside.hearsNothing('10.208.0.2', 80);
    await outside.hearsNothing('fd00:d0::2', 80);
  });

  it('the host reaches its workloads, and they its services', async () => {
    await here.call('listen', 8000, '0.0.0.0');
    assert.equal(await here.ask('10.208.0.2', 80), 'as 10.208.0.1');
    assert.equal(await webHost.ask('10.208.0.1', 8000), 'as 10.208.0.2');
    assert.equal(await webHost.ask('198.51.100.1', 8000), 'as 10.208.0.2');
  });
});

describe('published ports', () => {
  const port = (hostAddress: string, hostPort: number, address = '10.208.0.2') => ({
    protocol: 'tcp' as const,
    hostAddress,
    hostPort,
    address,
    port: 80,
  });
  before(async () => {
    await firewall.setWorkload({
      ...web,
      published: [
        port('', 8080),
        port('127.0.0.1', 8081),
        port('198.51.100.1', 8082),
        port('', 8080, 'fd00:d0::2'),
        port('2001:db8::1', 8082, 'fd00:d0::2'),
        { ...port('', 8080), protocol: 'udp' },
      ],
    });
  });

  it('are reached from other hosts, whose addresses are seen', async () => {
    assert.equal(await outside.ask('198.51.100.1', 8080), 'as 198.51.100.2');
    assert.equal(await outside.ask('198.51.100.1', 8082), 'as 198.51.100.2');
    assert.equal(await outside.ask('2001:db8::1', 8080), 'as 2001:db8::2');
    assert.equal(await outside.ask('2001:db8::1', 8082), 'as 2001:db8::2');
    assert.equal(await outside.askUdp('198.51.100.1', 8080), 'as 198.51.100.2');
  });

  it('are reached from the host by each of its addresses', async () => {
    assert.equal(await here.ask('127.0.0.1', 8080), 'as 10.208.0.1');
    assert.equal(await here.ask('127.0.0.1', 8081), 'as 10.208.0.1');
    assert.equal(await here.ask('198.51.100.1', 8080), 'as 198.51.100.1');
    assert.equal(await here.ask('10.208.0.1', 8080), 'as 10.208.0.1');
    assert.equal(await here.ask('2001:db8::1', 8080), 'as 2001:db8::1');
    assert.equal(await here.ask('::1', 8080), 'refused');
    assert.equal(await here.askUdp('127.0.0.1', 8080), 'as 10.208.0.1');
  });

  it('are reached from their own network, also by who publishes them', async () => {
    for (const address of ['198.51.100.1', '10.208.0.1'])
      assert.equal(await dbHost.ask(address, 8080), 'as 10.208.0.3');
    assert.equal(await dbHost.ask('2001:db8::1', 8080), 'as fd00:d0::3');
    assert.match(await webHost.ask('198.51.100.1', 8080), /^as /);
    assert.match(await webHost.ask('2001:db8::1', 8080), /^as /);
    assert.equal(await dbHost.askUdp('10.208.0.1', 8080), 'as 10.208.0.3');
  });

  it('are reached from other networks as from any other host', async () => {
    assert.equal(await farHost.ask('198.51.100.1', 8080), 'as 10.208.16.4');
  });

  it('of the loopback address are reached from nowhere else', async () => {
    assert.equal(await outside.ask('198.51.100.1', 8081), 'refused');
    outside.run('ip', 'addr', 'del', '127.0.0.1/8', 'dev', 'lo');
    outside.run('ip', 'route', 'add', '127.0.0.1', 'via', '198.51.100.1', 'src', '198.51.100.2');
    await outside.hearsNothing('127.0.0.1', 8081);
    await outside.hearsNothing('127.0.0.1', 8080);
    dbHost.run('ip', 'addr', 'del', '127.0.0.1/8', 'dev', 'lo');
    dbHost.run('ip', 'route', 'add', '127.0.0.1', 'via', '10.208.0.1', 'src', '10.208.0.3');
    for (const number of [8000, 8080, 8081]) await dbHost.hearsNothing('127.0.0.1', number);
  });

  it('are published once', async () => {
    await assert.rejects(
      firewall.setWorkload({ ...db, published: [port('', 8080, '10.208.0.3')] }),
      /port 0\.0\.0\.0:8080\/tcp is published by web/,
    );
    await assert.rejects(
      firewall.setWorkload({ ...db, published: [port('::1', 8090, '10.208.0.3')] }),
      /port \[::1\]:8090\/tcp cannot lead to 10\.208\.0\.3: both must be IPv4 or both IPv6/,
    );
  });

  it('cost little, two hundred of them as well', async () => {
    const many = Array.from({ length: 200 }, (_, index) => port('', 10_000 + index, '10.208.0.3'));
    const times = [];
    for (let round = 0; round < 5; round++) {
      const started = performance.now();
      await firewall.setWorkload({ ...db, published: many });
      times.push(performance.now() - started);
      await firewall.setWorkload(db);
    }
    assert.ok(Math.min(...times) < 20, `${times}`);
    if (process.env['SHOW']) console.log(times);
  });
});

describe('tables', () => {
  it('made anew cut no connection', async () => {
    const connection = await outside.call('open', '198.51.100.1', 8080, 1000);
    assert.equal(typeof connection, 'number');
    await firewall.rebuild([NETWORK, OTHER], [web, db, far]);
    assert.equal(await outside.call('echo', Number(connection), 1000), 'ping');
    assert.equal(await outside.ask('198.51.100.1', 8080), 'refused');
  });

  it('are made anew as a whole when somebody flushed them', async () => {
    sh('nft', 'flush', 'ruleset');
    await firewall.removeWorkload('far');
    await firewall.setWorkload({ ...far, name: 'again' });
    assert.equal(await webHost.ask('10.208.16.4', 80), 'refused');
    assert.equal(await webHost.ask('198.51.100.2', 80), 'as 198.51.100.1');
  });

  it('vanish', async () => {
    await firewall.uninstall();
    await firewall.uninstall();
    assert.equal(sh('nft', 'list', 'tables'), '');
  });
});
