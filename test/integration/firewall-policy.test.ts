// Policies: who may reach whom, decided by the first rule that matches.

import assert from 'node:assert/strict';
import { after, afterEach, before, describe, it } from 'node:test';
import { parsePolicy } from '../../src/network/firewall/index.ts';
import { FirewallLab, NETWORK, OTHER, workloadOf } from '../fixtures/firewall-lab.ts';
import { type Host, sh } from '../fixtures/network-lab.ts';

const PUBLIC = '93.184.216.34';
const PUBLIC6 = '2606:2800:220::34';
const METADATA = '169.254.169.254';

const web = workloadOf('web', 2, { labels: { tier: 'front', exposed: '' } });
const db = {
  ...workloadOf('db', 3),
  published: [{ protocol: 'tcp', hostAddress: '', hostPort: 5432, address: '10.208.0.3', port: 80 } as const],
};
const far = workloadOf('far', 4, { network: OTHER, labels: { tier: 'back' } });
let lab: FirewallLab;
let webHost: Host;
let dbHost: Host;
let farHost: Host;
let outside: Host;
let here: Host;

before(async () => {
  lab = await FirewallLab.open();
  [webHost, dbHost, farHost] = await Promise.all([lab.start(web), lab.start(db), lab.start(far)]);
  outside = await lab.openOutside([`${PUBLIC}/32`, `${PUBLIC6}/128`, `${METADATA}/32`, '192.168.7.7/32']);
  sh('ip', 'route', 'add', 'default', 'via', '198.51.100.2');
  sh('ip', '-6', 'route', 'add', 'default', 'via', '2001:db8::2');
  here = await lab.openHere();
  await here.call('listen', 8000, '0.0.0.0');
});
afterEach(async () => {
  for (const workload of [web, db, far]) await lab.firewall.setWorkload(workload);
  for (const network of [NETWORK, OTHER]) await lab.firewall.setNetwork(network);
});
after(async () => {
  await lab.close();
});

const reached = (answer: string | number) => /^as |^\d+$/.test(`${answer}`);

async function assertReaches(host: Host, address: string, port = 80): Promise<void> {
  const answer = await host.ask(address, port);
  assert.ok(reached(answer), `${address}:${port}: ${answer}`);
}

async function assertRefused(host: Host, address: string, port = 80): Promise<void> {
  assert.equal(await host.ask(address, port), 'refused', `${address}:${port}`);
}

describe('what a workload opens', () => {
  it('may be anything, but not the metadata of the cloud when that is denied', async () => {
    await assertReaches(webHost, METADATA);
    await lab.obey(web, 'deny to metadata');
    await assertRefused(webHost, METADATA);
    for (const address of [PUBLIC, PUBLIC6, '192.168.7.7', '10.208.0.3'])
      await assertReaches(webHost, address);
  });

  it('may be all but private addresses, with exceptions before', async () => {
    await lab.obey(web, 'allow to network; deny to private');
    await assertReaches(webHost, PUBLIC);
    await assertReaches(webHost, PUBLIC6);
    await assertReaches(webHost, '10.208.0.3');
    await assertReaches(webHost, 'fd00:d0::3');
    for (const address of [METADATA, '192.168.7.7', '2001:db8::2']) await assertRefused(webHost, address);
    await assertRefused(webHost, '10.208.0.1', 8000);
  });

  it('may be public hosts only, which the host itself never is', async () => {
    sh('ip', 'addr', 'add', '93.184.216.35/32', 'dev', 'uplink');
    await lab.obey(web, 'allow to public; deny to any');
    await assertReaches(webHost, PUBLIC);
    await assertReaches(webHost, PUBLIC6);
    await assertRefused(webHost, '93.184.216.35', 8000);
    for (const address of [METADATA, '10.208.0.3', 'fd00:d0::3']) await assertRefused(webHost, address);
    await lab.obey(web, '');
    await assertReaches(webHost, '93.184.216.35', 8000);
  });

  it('may be all but the services of the host, whichever of its addresses is taken', async () => {
    await lab.obey(web, 'deny to host');
    for (const address of ['10.208.0.1', '198.51.100.1', '10.208.16.1'])
      await assertRefused(webHost, address, 8000);
    await assertReaches(webHost, PUBLIC);
    assert.match(webHost.run('busybox', 'ping', '-c1', '-W1', '10.208.0.1'), /1 packets received/);
  });

  it('may be some ranges, ports and protocols only', async () => {
    await outside.call('listen', 81, '0.0.0.0');
    await lab.obey(
      web,
      `allow to ${PUBLIC}/24:80/tcp; allow to [${PUBLIC6}]:80; allow to 10.208.0.3/udp; deny to any`,
    );
    await assertReaches(webHost, PUBLIC);
    await assertReaches(webHost, PUBLIC6);
    await assertRefused(webHost, PUBLIC, 81);
    await assertRefused(webHost, '10.208.0.3');
    assert.match(await webHost.askUdp('10.208.0.3', 80), /^as /);
    assert.doesNotMatch(await webHost.askUdp('fd00:d0::3', 80, 300), /^as /);
  });

  it('may be workloads by name or label', async () => {
    await lab.obey(web, 'allow to @db:80; deny to any');
    await assertReaches(webHost, '10.208.0.3');
    await assertReaches(webHost, 'fd00:d0::3');
    await assertRefused(webHost, PUBLIC);
    await lab.obey(web, 'deny to label:tier=middle; allow to any');
    await assertReaches(webHost, '10.208.0.3');
    await lab.firewall.setWorkload({ ...db, labels: { tier: 'middle' } });
    await assertRefused(webHost, '10.208.0.3');
    await lab.firewall.setWorkload({ ...db, labels: { tier: 'other' } });
    await assertReaches(webHost, '10.208.0.3');
  });
});

describe('what reaches a workload', () => {
  it('may be a part of its network, by published ports too, and the host', async () => {
    await lab.obey(db, 'allow from @web; deny from any');
    await assertReaches(webHost, '10.208.0.3');
    await assertReaches(webHost, '198.51.100.1', 5432);
    await outside.hearsNothing('198.51.100.1', 5432);
    await assertRefused(farHost, '198.51.100.1', 5432);
    await assertRefused(here, '127.0.0.1', 5432);
    await assertRefused(here, '10.208.0.3');
    await lab.obey(db, 'allow from host; deny from any');
    await assertReaches(here, '127.0.0.1', 5432);
    await assertReaches(here, '10.208.0.3');
    await assertRefused(webHost, '10.208.0.3');
    // What it opens itself is answered.
    await assertReaches(dbHost, PUBLIC);
    await assertReaches(dbHost, '10.208.0.2');
  });

  it('may be clients of some addresses, as they are seen', async () => {
    await lab.obey(db, 'allow from 198.51.100.0/24:80; deny from any');
    await assertReaches(outside, '198.51.100.1', 5432);
    await assertRefused(webHost, '10.208.0.3');
    await lab.obey(db, 'allow from 198.51.100.0/24:5432; deny from any');
    await outside.hearsNothing('198.51.100.1', 5432);
  });

  it('may be workloads of other networks, and routed hosts outside, when that is allowed', async () => {
    await assertRefused(farHost, '10.208.0.3');
    await lab.obey(db, 'allow from label:tier=back:80/tcp');
    await assertReaches(farHost, '10.208.0.3');
    assert.equal(await farHost.ask('10.208.0.3', 80), 'as 10.208.16.4');
    await assertRefused(farHost, '10.208.0.2');
    await assertRefused(dbHost, '10.208.16.4');
    await lab.obey(db, 'allow from 198.51.100.2');
    await assertReaches(outside, '10.208.0.3');
  });

  it('needs the leave of both', async () => {
    await lab.obey(web, 'deny to @db');
    await lab.obey(db, 'allow from @web');
    await assertRefused(webHost, '10.208.0.3');
    await lab.obey(web, 'allow to @db');
    await assertReaches(webHost, '10.208.0.3');
  });
});

describe('the policy of a network', () => {
  it('holds for all its workloads, after their own', async () => {
    await lab.firewall.setNetwork({
      ...NETWORK,
      policy: parsePolicy('allow to network; deny to any; deny from host'),
    });
    await lab.obey(web, 'allow to public:80');
    await assertReaches(webHost, PUBLIC);
    await assertRefused(webHost, METADATA);
    await assertRefused(dbHost, PUBLIC);
    await assertReaches(dbHost, '10.208.0.2');
    await assertRefused(here, '10.208.0.2');
    await assertReaches(farHost, PUBLIC);
  });

  it('cannot open an internal network', async () => {
    await lab.firewall.setNetwork({
      ...NETWORK,
      internal: true,
      policy: parsePolicy('allow to any; allow from any'),
    });
    await assertReaches(webHost, '10.208.0.3');
    await assertRefused(webHost, PUBLIC);
    await assertRefused(webHost, '10.208.0.1', 8000);
    await assertRefused(webHost, '10.208.16.4');
    await assertRefused(farHost, '10.208.0.3');
    await outside.hearsNothing('198.51.100.1', 5432);
  });
});

describe('a policy that changes', () => {
  it('cuts the connections that it forbids, in either direction, and no other', async () => {
    const one = Number(await webHost.call('open', '10.208.0.3', 80, 1000));
    const other = Number(await webHost.call('open', PUBLIC, 80, 1000));
    await lab.obey(web, 'deny to @db; deny to private');
    assert.notEqual(await webHost.call('echo', one, 1000), 'ping');
    assert.equal(await webHost.call('echo', other, 1000), 'ping');
    await lab.obey(web, 'deny to @db; deny to any');
    assert.notEqual(await webHost.call('echo', other, 1000), 'ping');
    const incoming = Number(await outside.call('open', '198.51.100.1', 5432, 1000));
    await lab.obey(db, 'deny from any');
    assert.notEqual(await outside.call('echo', incoming, 500), 'ping');
  });

  it('cuts what only it had allowed, when it is taken away', async () => {
    await lab.obey(db, 'allow from @far');
    const connection = Number(await farHost.call('open', '10.208.0.3', 80, 1000));
    assert.equal(await farHost.call('echo', connection, 1000), 'ping');
    await lab.firewall.setWorkload(db);
    assert.notEqual(await farHost.call('echo', connection, 1000), 'ping');
  });
});

describe('a rule that a policy no longer has', () => {
  it('leaves nothing in the tables', async () => {
    const before = sh('nft', '--stateless', 'list', 'table', 'inet', 'berth');
    const networks = [NETWORK, OTHER];
    await lab.obey(web, 'allow to pypi.org:443; allow to @db; allow from label:tier; deny to any log');
    await lab.firewall.setNetwork({ ...NETWORK, policy: parsePolicy('deny to any') });
    await lab.firewall.removeWorkload('web');
    await lab.firewall.setNetwork(NETWORK);
    await lab.firewall.rebuild(networks, [web, db, far]);
    const fresh = sh('nft', '--stateless', 'list', 'table', 'inet', 'berth');
    await lab.obey(web, 'allow to pypi.org:443; allow to @db; allow from label:tier; deny to any log');
    await lab.firewall.setWorkload(web);
    const chains = (text: string) => text.match(/^\s*(chain|set|map) (?!seal_).*$/gm);
    assert.deepEqual(chains(sh('nft', '--stateless', 'list', 'table', 'inet', 'berth')), chains(fresh));
    assert.deepEqual(chains(before), chains(fresh));
  });
});
