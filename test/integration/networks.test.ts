// Networks as their users see them: by the command line, for each isolation and between the two.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { a, startUpstream } from '../fixtures/dns.ts';
import { sh } from '../fixtures/network-lab.ts';
import {
  addressOf,
  ask,
  askFrom,
  CLIENT,
  here,
  host,
  nextPort,
  outside,
  remove,
  serve,
  settingsOf,
  setUp,
  UPLINK,
} from '../fixtures/networks.ts';

const ISOLATIONS = ['container', 'vm'] as const;

setUp();

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

    test('a rate holds for what is received and what is sent', async () => {
      const blob = 'mkdir -p /www; head -c 1500000 /dev/zero > /www/blob; exec httpd -f -p 80 -h /www';
      const flags = [
        '-d',
        '--name',
        'slow',
        '--isolation',
        isolation,
        '--network-rate',
        'in=1gbit,out=4mbit',
      ];
      await host.ok('run', ...flags, 'busybox', 'sh', '-c', blob);
      const url = `http://${await addressOf('slow')}/blob`;
      const fetching = [
        'timeout',
        '20',
        'sh',
        '-c',
        `until wget -qO- ${url} | wc -c | grep -x 1500000; do :; done`,
      ];
      const started = performance.now();
      await host.ok('run', '--rm', 'busybox', ...fetching);
      // A second's worth may pass at once: 500 000 bytes of the 1 500 000.
      assert.ok(performance.now() - started > 1500);
      assert.match(await host.ok('inspect', '-f', '{{.HostConfig.Annotations}}', 'slow'), /out=4mbit/);
      await remove('slow');
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
