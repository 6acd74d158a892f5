// Beside other firewalls: each test has a host of its own with the rules of somebody else.

import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { after, afterEach, before, describe, it } from 'node:test';
import { OtherFirewalls } from '../../src/network/firewall/index.ts';
import { FirewallLab, NETWORK, workloadOf } from '../fixtures/firewall-lab.ts';
import { type Host, sh } from '../fixtures/network-lab.ts';

const BRIDGES = ['berth0'];
const CALL_IPTABLES = '/proc/sys/net/bridge/bridge-nf-call-iptables';
const web = {
  ...workloadOf('web', 2),
  published: [
    { protocol: 'tcp', hostAddress: '', hostPort: 8080, address: '10.208.0.2', port: 80 },
    { protocol: 'tcp', hostAddress: '', hostPort: 8080, address: 'fd00:d0::2', port: 80 },
  ] as const,
};
let lab: FirewallLab;
let others: OtherFirewalls;
let webHost: Host;
let dbHost: Host;
let outside: Host;
let here: Host;

before(async () => {
  lab = await FirewallLab.open([NETWORK]);
  others = new OtherFirewalls(lab.nft, 'berth');
  [webHost, dbHost] = await Promise.all([lab.start(web), lab.start(workloadOf('db', 3))]);
  outside = await lab.openOutside();
  here = await lab.openHere();
  await here.call('listen', 53, '10.208.0.1');
});
afterEach(async () => {
  await others.leave(BRIDGES);
  for (const command of ['iptables-nft', 'ip6tables-nft', 'iptables-legacy', 'ip6tables-legacy']) {
    for (const chain of ['INPUT', 'FORWARD']) sh(command, '-P', chain, 'ACCEPT');
    sh(command, '-F');
    sh(command, '-X');
  }
});
after(async () => {
  await lab.close();
});

const rules = (command: string) => sh(command, '-S');

async function assertAllPasses(): Promise<void> {
  assert.match(await webHost.ask('198.51.100.2', 80), /^as /);
  assert.match(await outside.ask('198.51.100.1', 8080), /^as /);
  assert.match(await outside.ask('2001:db8::1', 8080), /^as /);
  assert.match(await dbHost.ask('fd00:d0::2', 80), /^as /);
  assert.match(await dbHost.ask('10.208.0.1', 8080), /^as /);
  assert.match(await dbHost.ask('10.208.0.1', 53), /^as /);
}

describe('beside iptables', () => {
  for (const kind of ['nft', 'legacy'])
    it(`${kind} that drops all that it does not know, our bridges pass, and no more`, async () => {
      const commands = [`iptables-${kind}`, `ip6tables-${kind}`];
      for (const command of commands)
        for (const chain of ['FORWARD', 'INPUT']) sh(command, '-P', chain, 'DROP');
      // Without neighbour discovery no host has IPv6.
      sh(`ip6tables-${kind}`, '-A', 'INPUT', '-i', 'uplink', '-p', 'ipv6-icmp', '-j', 'ACCEPT');
      const before = commands.map(rules);
      await outside.hearsNothing('198.51.100.1', 8080);
      const [stated] = await others
        .findings(BRIDGES)
        .then((list) => list.filter(({ name }) => name === commands[0]));
      assert.ok(
        stated && !stated.ok && /restart the daemon/.test(stated.remedy ?? ''),
        JSON.stringify(stated),
      );

      await others.makeWay(BRIDGES);
      await assertAllPasses();
      const made = commands.map(rules);
      await others.makeWay(BRIDGES);
      assert.deepEqual(commands.map(rules), made);
      assert.ok(
        (await others.findings(BRIDGES)).filter(({ name }) => name.includes('tables')).every(({ ok }) => ok),
      );
      await here.call('listen', kind === 'nft' ? 8001 : 8002, '0.0.0.0');
      await dbHost.hearsNothing('10.208.0.1', kind === 'nft' ? 8001 : 8002);

      await others.leave(BRIDGES);
      assert.deepEqual(commands.map(rules), before);
    });

  it('that drops nothing, nothing is added', async () => {
    sh('iptables-nft', '-A', 'FORWARD', '-i', 'eth9', '-j', 'ACCEPT');
    const before = rules('iptables-nft');
    await others.makeWay(BRIDGES);
    assert.equal(rules('iptables-nft'), before);
  });

  it('of Docker, ours are in the chain that it leaves to others', async () => {
    sh('iptables-nft', '-P', 'FORWARD', 'DROP');
    for (const chain of ['DOCKER-USER', 'DOCKER-ISOLATION-STAGE-1']) sh('iptables-nft', '-N', chain);
    sh('iptables-nft', '-A', 'FORWARD', '-j', 'DOCKER-USER');
    sh('iptables-nft', '-A', 'FORWARD', '-j', 'DOCKER-ISOLATION-STAGE-1');
    sh('iptables-nft', '-A', 'DOCKER-USER', '-j', 'RETURN');
    await others.makeWay(BRIDGES);
    const made = rules('iptables-nft');
    assert.match(made, /^-A DOCKER-USER -i berth\+ .*--comment berth -j ACCEPT$/m);
    assert.doesNotMatch(made, /-A FORWARD.*berth/);
    await assertAllPasses();
  });

  it('of ufw, whose chains drop at their end, ours come first', async () => {
    for (const chain of ['ufw-before-forward', 'ufw-reject-forward']) sh('iptables-nft', '-N', chain);
    sh('iptables-nft', '-A', 'FORWARD', '-j', 'ufw-before-forward');
    sh('iptables-nft', '-A', 'FORWARD', '-j', 'ufw-reject-forward');
    sh('iptables-nft', '-A', 'ufw-reject-forward', '-j', 'REJECT');
    await others.makeWay(BRIDGES);
    await assertAllPasses();
    const [stated] = (await others.findings(BRIDGES)).filter(({ name }) => name === 'iptables-nft');
    assert.match(stated?.detail ?? '', /ufw.*rules marked berth/);
  });
});

describe('the filter of bridges', () => {
  it('is switched off, but not where Docker may need it, and then it is told', async () => {
    const finding = async () => (await others.findings(BRIDGES)).find(({ name }) => name === 'bridge filter');
    writeFileSync(CALL_IPTABLES, '1');
    sh('iptables-nft', '-N', 'DOCKER-USER');
    await others.makeWay(BRIDGES);
    assert.equal(readFileSync(CALL_IPTABLES, 'utf8').trim(), '1');
    assert.match((await finding())?.detail ?? '', /bridge-nf-call-iptables is on, as Docker is here/);
    sh('iptables-nft', '-X', 'DOCKER-USER');
    await others.makeWay(BRIDGES);
    assert.equal(readFileSync(CALL_IPTABLES, 'utf8').trim(), '0');
    assert.equal((await finding())?.ok, true);
  });
});

describe('rules of somebody else', () => {
  it('that drop what is forwarded are told, with what to add', async () => {
    sh(
      'nft',
      'add table inet mine; add chain inet mine passing { type filter hook forward priority 0; policy drop; }',
    );
    const [stated] = (await others.findings(BRIDGES)).filter(({ ok }) => !ok);
    assert.match(`${stated?.name}: ${stated?.detail}`, /nftables inet mine: its chain passing drops/);
    assert.match(stated?.remedy ?? '', /iifname "berth\*" accept/);
    sh('nft', 'delete table inet mine');
  });
});
