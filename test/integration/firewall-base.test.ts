// What the firewall does without a word: addresses that are not theirs, networks apart, published ports.

import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { FirewallLab, NETWORK, OTHER, workloadOf } from '../fixtures/firewall-lab.ts';
import { type Host, sh } from '../fixtures/network-lab.ts';

const web = workloadOf('web', 2);
const db = workloadOf('db', 3);
const far = workloadOf('far', 4, { network: OTHER });
let lab: FirewallLab;
let webHost: Host;
let dbHost: Host;
let farHost: Host;
let outside: Host;
let here: Host;

before(async () => {
  lab = await FirewallLab.open();
  [webHost, dbHost, farHost] = await Promise.all([lab.start(web), lab.start(db), lab.start(far)]);
  [outside, here] = await Promise.all([lab.openOutside(), lab.openHere()]);
});
after(async () => {
  await lab.close();
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
    await lab.firewall.setWorkload({
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
      lab.firewall.setWorkload({ ...db, published: [port('', 8080, '10.208.0.3')] }),
      /port 0\.0\.0\.0:8080\/tcp is published by web/,
    );
    await assert.rejects(
      lab.firewall.setWorkload({ ...db, published: [port('::1', 8090, '10.208.0.3')] }),
      /port \[::1\]:8090\/tcp cannot lead to 10\.208\.0\.3: both must be IPv4 or both IPv6/,
    );
  });

  it('cost little, two hundred of them as well', async () => {
    const many = Array.from({ length: 200 }, (_, index) => port('', 10_000 + index, '10.208.0.3'));
    const times = [];
    for (let round = 0; round < 5; round++) {
      const started = performance.now();
      await lab.firewall.setWorkload({ ...db, published: many });
      times.push(performance.now() - started);
      await lab.firewall.setWorkload(db);
    }
    assert.ok(Math.min(...times) < 20, `${times}`);
    if (process.env['SHOW']) console.log(times);
  });
});

describe('tables', () => {
  it('made anew cut no connection', async () => {
    const connection = await outside.call('open', '198.51.100.1', 8080, 1000);
    assert.equal(typeof connection, 'number');
    await lab.firewall.rebuild([NETWORK, OTHER], [web, db, far]);
    assert.equal(await outside.call('echo', Number(connection), 1000), 'ping');
    assert.equal(await outside.ask('198.51.100.1', 8080), 'refused');
  });

  it('are made anew as a whole when somebody flushed them', async () => {
    sh('nft', 'flush', 'ruleset');
    await lab.firewall.removeWorkload('far');
    await lab.firewall.setWorkload({ ...far, name: 'again' });
    assert.equal(await webHost.ask('10.208.16.4', 80), 'refused');
    assert.equal(await webHost.ask('198.51.100.2', 80), 'as 198.51.100.1');
  });

  it('come back by themselves while they are watched', async () => {
    const failures: unknown[] = [];
    const watch = lab.firewall.watch((error) => failures.push(error));
    sh('nft', 'flush', 'ruleset');
    // When the watch begins to look cannot be seen: tables are removed until it has.
    while (!sh('nft', 'list', 'tables').includes('bridge berth')) {
      sh('nft', 'add table inet berth; delete table inet berth');
      await lab.nft.list('tables');
    }
    watch.close();
    await lab.firewall.heal();
    assert.deepEqual(failures, []);
    assert.match(sh('nft', 'list', 'tables'), /inet berth\ntable bridge berth/);
    assert.equal(await webHost.ask('10.208.16.4', 80), 'refused');
  });

  it('take a long transaction as a whole or not at all', async () => {
    const elements = Array.from({ length: 300 }, (_, index) => `10.9.${index >> 8}.${index & 255}`).join(
      ', ',
    );
    const add = `add element inet berth watched4 { ${elements} }`;
    const wrong = 'add rule inet berth nowhere accept';
    await assert.rejects(
      lab.nft.apply([add, wrong]),
      /nftables refused: Error: .*No such file or directory\nadd rule inet berth nowhere/,
    );
    assert.doesNotMatch(sh('nft', 'list', 'set', 'inet', 'berth', 'watched4'), /10\.9\./);
    await lab.nft.apply([add]);
    assert.match(sh('nft', 'list', 'set', 'inet', 'berth', 'watched4'), /10\.9\.1\.43/);
  });

  it('vanish', async () => {
    await lab.firewall.uninstall();
    await lab.firewall.uninstall();
    assert.equal(sh('nft', 'list', 'tables'), '');
  });
});
