// Workloads that claim to be others, names that lead inside, and how fast one may be.

import assert from 'node:assert/strict';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { Nft } from '../../src/host/index.ts';
import { Firewall, parsePolicy } from '../../src/network/firewall/index.ts';
import { FirewallLab, NETWORK, OTHER, workloadOf } from '../fixtures/firewall-lab.ts';
import { type Host, sh } from '../fixtures/network-lab.ts';

const PUBLIC = '93.184.216.34';
const PUBLIC6 = '2606:2800:220::34';

const web = workloadOf('web', 2);
const evil = workloadOf('evil', 3);
let lab: FirewallLab;
let webHost: Host;
let evilHost: Host;
let outside: Host;
let here: Host;

before(async () => {
  lab = await FirewallLab.open();
  [webHost, evilHost] = await Promise.all([lab.start(web), lab.start(evil)]);
  outside = await lab.openOutside([`${PUBLIC}/32`, `${PUBLIC6}/128`]);
  outside.run('ip', 'route', 'add', 'default', 'via', '198.51.100.1');
  sh('ip', 'route', 'add', 'default', 'via', '198.51.100.2');
  sh('ip', '-6', 'route', 'add', 'default', 'via', '2001:db8::2');
  here = await lab.openHere();
  await here.call('listenUdp', 9000, '0.0.0.0');
  await here.call('listenUdp', 9000, 'fd00:d0::1');
});
after(async () => {
  await lab.close();
});

async function spoofed(): Promise<number> {
  return (await lab.firewall.counters()).get('p-evil')?.spoofed.packets ?? Number.NaN;
}

/** Asserts that frames of the evil one were thrown away while `work` ran. */
async function assertThrownAway(work: () => unknown): Promise<void> {
  const before = await spoofed();
  await work();
  assert.ok((await spoofed()) > before);
}

const datagram = async (address: string, from: string) =>
  await evilHost.call('askUdp', address, 9000, 200, from);

describe('a workload', () => {
  it('cannot send from an address that is not its own, be it another’s or a stranger’s', async () => {
    assert.match(await datagram('10.208.0.1', '10.208.0.3'), /^as 10\.208\.0\.3/);
    assert.match(await datagram('fd00:d0::1', 'fd00:d0::3'), /^as fd00:d0::3/);
    for (const foreign of ['10.208.0.2', '10.208.16.9', '198.51.100.2', '8.8.8.8']) {
      evilHost.run('ip', 'addr', 'add', `${foreign}/32`, 'dev', 'eth0');
      await assertThrownAway(async () => assert.equal(await datagram('10.208.0.1', foreign), 'silence'));
      evilHost.run('ip', 'addr', 'del', `${foreign}/32`, 'dev', 'eth0');
    }
    evilHost.run('ip', 'addr', 'add', 'fd00:d0::2/128', 'dev', 'eth0', 'nodad');
    await assertThrownAway(async () => assert.equal(await datagram('fd00:d0::1', 'fd00:d0::2'), 'silence'));
    evilHost.run('ip', 'addr', 'del', 'fd00:d0::2/128', 'dev', 'eth0');
    assert.deepEqual(await here.call('received'), ['hello', 'hello']);
  });

  it('cannot take the host’s traffic for another by ARP or neighbour discovery', async () => {
    evilHost.run('ip', 'addr', 'add', '10.208.0.2/32', 'dev', 'eth0');
    evilHost.run('ip', 'addr', 'add', 'fd00:d0::2/128', 'dev', 'eth0', 'nodad');
    for (const address of ['10.208.0.2', 'fd00:d0::2']) {
      sh('ip', 'neigh', 'flush', 'to', address);
      // Both answer the host's question for it.
      await assertThrownAway(async () => assert.match(await here.ask(address, 80), /^as /));
      assert.match(sh('ip', 'neigh', 'show', 'to', address), /lladdr 02:00:00:00:00:02/);
    }
    const announce = ['busybox', 'arping', '-A', '-c1', '-w1', '-I', 'eth0'] as const;
    await assertThrownAway(() => evilHost.run(...announce, '10.208.0.2'));
    assert.match(sh('ip', 'neigh', 'show', 'to', '10.208.0.2'), /lladdr 02:00:00:00:00:02/);
    for (const address of ['10.208.0.2/32', 'fd00:d0::2/128'])
      evilHost.run('ip', 'addr', 'del', address, 'dev', 'eth0');
  });

  it('cannot take the MAC address of another', async () => {
    evilHost.run('ip', 'link', 'set', 'eth0', 'address', '02:00:00:00:00:02');
    const announce = ['busybox', 'arping', '-A', '-c1', '-w1', '-I', 'eth0'] as const;
    await assertThrownAway(() => evilHost.run(...announce, '10.208.0.3'));
    assert.match(await here.ask('10.208.0.2', 80), /^as /);
    evilHost.run('ip', 'link', 'set', 'eth0', 'address', '02:00:00:00:00:03');
    assert.match(await here.ask('10.208.0.3', 80), /^as /);
  });

  it('does not reach the link of another, whatever it puts into its neighbour table', async () => {
    evilHost.run('ip', 'route', 'replace', '10.208.0.2/32', 'dev', 'eth0');
    evilHost.run('ip', 'neigh', 'replace', '10.208.0.2', 'lladdr', '02:00:00:00:00:02', 'dev', 'eth0');
    sh('bridge', 'link', 'set', 'dev', 'p-web', 'isolated', 'off');
    await evilHost.hearsNothing('10.208.0.2', 80);
    sh('bridge', 'link', 'set', 'dev', 'p-web', 'isolated', 'on');
  });
});

describe('an allowed name', () => {
  const question = (name: string) => ({ networkId: 'n1', client: '10.208.0.2', name });
  const resolve = async (name: string, ...addresses: readonly string[]) =>
    await lab.firewall.admit(
      question(name),
      addresses.map((address) => ({ address, ttlSeconds: 30 })),
    );

  before(async () => {
    await lab.obey(web, 'allow to pypi.org:80; allow to *.npmjs.org; deny to any');
  });

  it('opens the addresses that it resolved to, for its ports', async () => {
    assert.equal(await webHost.ask(PUBLIC, 80), 'refused');
    assert.deepEqual(await resolve('pypi.org', PUBLIC, PUBLIC6), [PUBLIC, PUBLIC6]);
    assert.match(await webHost.ask(PUBLIC, 80), /^as /);
    assert.match(await webHost.ask(PUBLIC6, 80), /^as /);
    await outside.call('listen', 81, '::');
    assert.equal(await webHost.ask(PUBLIC, 81), 'refused');
    await resolve('registry.npmjs.org', PUBLIC);
    assert.match(await webHost.ask(PUBLIC, 81), /^as /);
  });

  it('cannot lead inside, to metadata or to the host', async () => {
    const addresses = [
      '10.208.0.3',
      '192.168.7.7',
      '169.254.169.254',
      '127.0.0.1',
      'fd00:d0::3',
      '::1',
      '198.51.100.1',
    ];
    assert.deepEqual(await resolve('pypi.org', ...addresses), []);
    assert.equal(await webHost.ask('10.208.0.3', 80), 'refused');
    assert.equal(await webHost.ask('fd00:d0::3', 80), 'refused');
  });

  it('may be asked for, and no other where only what is listed is allowed', async () => {
    const asks = (name: string) => lab.firewall.forwards(question(name));
    assert.ok(asks('pypi.org') && asks('a.b.npmjs.org'));
    for (const name of ['npmjs.org', 'data.evil.example', 'xpypi.org', 'evilnpmjs.org'])
      assert.ok(!asks(name), name);
    assert.ok(lab.firewall.forwards({ networkId: 'n1', client: '10.208.0.3', name: 'evil.example' }));
  });

  it('stays open for a daemon that takes over, with its connections and counters', async () => {
    const connection = Number(await webHost.call('open', PUBLIC, 80, 1000));
    const before = (await lab.firewall.counters()).get('p-web');
    assert.ok(before && before.sent.packets > 0 && before.received.bytes > 0 && before.deniedOut.packets > 0);
    const nft = new Nft(join(lab.folder, 'next'));
    const next = new Firewall(nft, 'berth');
    const policy = parsePolicy('allow to pypi.org:80; allow to *.npmjs.org; deny to any');
    await next.rebuild([NETWORK, OTHER], [{ ...web, policy }, evil]);
    assert.equal(await webHost.call('echo', connection, 1000), 'ping');
    assert.match(await webHost.ask(PUBLIC, 80), /^as /);
    const later = (await next.counters()).get('p-web');
    assert.ok(
      later &&
        later.sent.packets > before.sent.packets &&
        later.deniedOut.packets === before.deniedOut.packets,
    );
    await nft.close();
  });
});

describe('a rate', () => {
  it('holds in each direction', async () => {
    const [endpoint] = web.endpoints;
    assert.ok(endpoint);
    // A second's worth is free.
    const bytes = 20 << 20;
    const time = async (rate: object) => {
      await lab.firewall.setWorkload({ ...web, endpoints: [{ ...endpoint, rate }] });
      return (await webHost.call('transfer', PUBLIC, 80, bytes)) / 1000;
    };
    const free = await time({});
    for (const rate of [{ inBytesPerSecond: 8 << 20 }, { outBytesPerSecond: 8 << 20 }]) {
      const seconds = await time(rate);
      assert.ok(seconds > 1.2 && seconds < 4, `${JSON.stringify(rate)}: ${seconds} s, ${free} s without`);
    }
    assert.ok((await time({})) < 1);
  });
});
