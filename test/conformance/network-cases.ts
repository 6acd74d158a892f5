// What an instance is plugged into, as seen inside and on the host.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import type { Instance, InstanceSpec, RunNetwork } from '../../src/core/index.ts';
import { ip, openBridge } from '../fixtures/bridge.ts';
import { collect, type Workbench } from './fixture.ts';
import type { Case, Scene } from './instance-suite.ts';

const ALONE: RunNetwork = { endpoints: [], nameservers: [], searches: [], hosts: [] };
const ADMIN: Partial<InstanceSpec> = {
  security: {
    privileged: false,
    capAdd: ['NET_ADMIN'],
    capDrop: [],
    noNewPrivileges: false,
    seccomp: 'default',
  },
};
/** Answers each connection to port 7 with its name. */
const server = (name: string) => ['nc', '-ll', '-p', '7', '-e', 'echo', name];

async function inside(bench: Workbench, instance: Instance, script: string): Promise<string> {
  const { process } = await bench.spec(['sh', '-c', script]);
  const io = await instance.exec?.run(process);
  assert.ok(io !== undefined);
  io.input.end();
  const { stdout, stderr } = await collect(io);
  return `${stdout}${stderr}`;
}

async function started(
  { bench, driver }: Scene,
  network: Partial<RunNetwork>,
  args: readonly string[] = ['sleep', '1000'],
  change: Partial<InstanceSpec> = {},
): Promise<Instance> {
  const instance = await bench.create(driver, args, change);
  await instance.start({ network: { ...ALONE, ...network } });
  return instance;
}

/** What a listener that may not be there yet says. */
async function ask(host: string): Promise<string> {
  for (;;) {
    const socket = connect({ host, port: 7 });
    const failed = await once(socket, 'connect').then(
      () => undefined,
      (error: NodeJS.ErrnoException) => error,
    );
    if (failed === undefined) return (await text(socket)).trim();
    assert.equal(failed.code, 'ECONNREFUSED');
  }
}

async function end(instance: Instance): Promise<void> {
  await instance.kill(9);
  await instance.wait();
}

export const networkCases: readonly Case[] = [
  [
    'has nothing but a loopback that works, when it is plugged into nothing',
    async (scene) => {
      const instance = await started(scene, {});
      const said = await inside(
        scene.bench,
        instance,
        'ls /sys/class/net; ip -4 -o addr; ip route; ping -c 1 -W 2 127.0.0.1 | grep -c "1 packets received"',
      );
      assert.match(said, /^lo\n1: lo +inet 127\.0\.0\.1\/8 [^\n]*\n1\n$/);
    },
  ],
  [
    'has the interface, addresses and routes it is given, and tells the names and servers it is given',
    async (scene) => {
      using bridge = openBridge();
      const instance = await started(scene, {
        endpoints: [bridge.endpoint(2, { mtu: 1400 })],
        nameservers: ['10.208.0.1'],
        searches: ['one.test', 'two.test'],
        hosts: ['10.208.0.2 web', '10.208.0.3 db'],
      });
      const said = await inside(
        scene.bench,
        instance,
        'cat /sys/class/net/eth0/address /sys/class/net/eth0/mtu; ip -o addr show eth0 scope global; ip route; ip -6 route; cat /etc/resolv.conf; grep 10.208 /etc/hosts',
      );
      for (const line of [
        /^02:00:00:00:00:02\n1400\n/,
        / inet 10\.208\.0\.2\/20 /,
        / inet6 fd00:208::2\/64 /,
        /^default via 10\.208\.0\.1 dev eth0/m,
        /^10\.208\.0\.0\/20 via 10\.208\.0\.1 dev eth0/m,
        /^10\.208\.0\.1 dev eth0 scope link/m,
        /^default via fd00:208::1 dev eth0/m,
        /^fd00:208::\/64 via fd00:208::1 dev eth0/m,
        /^search one\.test two\.test\nnameserver 10\.208\.0\.1\n/m,
        /^10\.208\.0\.2 web\n10\.208\.0\.3 db\n$/m,
      ])
        assert.match(said, line);
      assert.doesNotMatch(said, /tentative|dadfailed/);
      assert.equal((await inside(scene.bench, instance, 'ls /sys/class/net')).trim(), 'eth0\nlo');
    },
  ],
  [
    'reaches another only through the host, which it reaches and which reaches it',
    async (scene) => {
      using bridge = openBridge();
      const [one, two] = await Promise.all([
        started(scene, { endpoints: [bridge.endpoint(2)] }, ['sleep', '1000'], ADMIN),
        started(scene, { endpoints: [bridge.endpoint(3)] }, server('two')),
      ]);
      assert.equal(await ask('10.208.0.3'), 'two');
      assert.equal(await ask('fd00:208::3'), 'two');
      assert.match(await inside(scene.bench, one, 'ping -c 1 -W 5 10.208.0.1'), /1 packets received/);
      assert.match(await inside(scene.bench, one, 'ping -c 1 -W 5 fd00:208::1'), /1 packets received/);
      const fetch = (address: string) => inside(scene.bench, one, `nc -w 20 ${address} 7 </dev/null`);
      assert.equal((await fetch('10.208.0.3')).trim(), 'two');
      assert.equal((await fetch('fd00:208::3')).trim(), 'two');
      const details = JSON.parse(ip('-json', '-details', 'link', 'show', 'master', bridge.name));
      assert.deepEqual(
        details
          .map((port: { linkinfo: { info_slave_data: object } }) => port.linkinfo.info_slave_data)
          .map(({ isolated, learning, flood }: Record<string, boolean>) => [isolated, learning, flood]),
        [
          [true, false, false],
          [true, false, false],
        ],
      );
      // As if they were neighbours.
      const direct =
        'ip route replace 10.208.0.0/20 dev eth0; ip neigh replace 10.208.0.3 lladdr 02:00:00:00:00:03 dev eth0';
      assert.match(
        await inside(scene.bench, one, `${direct}; ping -c 1 -W 1 10.208.0.3; arping -c 1 -w 1 10.208.0.3`),
        / 0 packets received[\s\S]*Received 0 r/,
      );
      await Promise.all([end(one), end(two)]);
    },
  ],
  [
    'is plugged in and unplugged while it runs, its other interfaces untouched',
    async (scene) => {
      using first = openBridge();
      using second = openBridge(209);
      const instance = await started(scene, { endpoints: [first.endpoint(2)] }, server('here'));
      assert.equal(await ask('10.208.0.2'), 'here');
      const more = second.endpoint(9, { name: 'eth1', defaultRoute: false });
      await instance.networking?.plug(more);
      await instance.networking?.plug(more);
      assert.equal(await ask('10.209.0.9'), 'here');
      assert.match(
        await inside(scene.bench, instance, 'ip route'),
        /10\.209\.0\.0\/20 via 10\.209\.0\.1 dev eth1/,
      );
      await instance.networking?.unplug('eth1');
      await instance.networking?.unplug('eth1');
      assert.deepEqual([first.ports().length, second.ports().length], [1, 0]);
      assert.equal((await inside(scene.bench, instance, 'ls /sys/class/net')).trim(), 'eth0\nlo');
      assert.equal(await ask('10.208.0.2'), 'here');
      await instance.networking?.plug({
        ...more,
        addresses: ['10.209.0.10/20'],
        mac: '02:00:00:00:00:77',
        gateways: ['10.209.0.1'],
      });
      assert.equal(await ask('10.209.0.10'), 'here');
    },
  ],
  [
    'has the addresses of each start, and leaves no interface when it ends',
    async (scene) => {
      using bridge = openBridge();
      const instance = await started(scene, { endpoints: [bridge.endpoint(2)] }, server('first'));
      assert.equal(await ask('10.208.0.2'), 'first');
      await end(instance);
      await instance.start({ network: { ...ALONE, endpoints: [bridge.endpoint(4)] } });
      assert.equal(await ask('10.208.0.4'), 'first');
      await end(instance);
      // Another has the address at once.
      const other = await started(
        scene,
        { endpoints: [{ ...bridge.endpoint(2), addresses: bridge.endpoint(4).addresses }] },
        server('other'),
      );
      assert.equal(await ask('10.208.0.4'), 'other');
      await end(other);
      await instance.remove();
      await other.remove();
      await bridge.emptied();
    },
  ],
  [
    'leaves no interface when its supervisor is killed, and can be started again at once',
    async (scene) => {
      using bridge = openBridge();
      const { bench, driver } = scene;
      const spec = await bench.spec(server('still here'));
      const instance = bench.own(await driver.create(spec));
      const network = { ...ALONE, endpoints: [bridge.endpoint(2)] };
      await instance.start({ network });
      const supervisor = Number((await readFile(join(spec.dir, 'shim.pid'), 'utf8')).split(' ')[0]);
      process.kill(supervisor, 'SIGKILL');
      assert.equal((await instance.wait()).reason, 'supervisor-died');
      await instance.start({ network });
      assert.equal(await ask('10.208.0.2'), 'still here');
      await end(instance);
      await instance.remove();
      await bridge.emptied();
    },
  ],
  [
    'names what it cannot be plugged into, and is not started then',
    async (scene) => {
      using bridge = openBridge();
      const endpoint = bridge.endpoint(2, { bridge: 'no-such-bridge' });
      const instance = await scene.bench.create(scene.driver, ['sleep', '1000']);
      await assert.rejects(
        instance.start({ network: { ...ALONE, endpoints: [endpoint] } }),
        /eth0 .*no-such-bridge.* find the bridge: No such device/,
      );
      await instance.start({ network: { ...ALONE, endpoints: [bridge.endpoint(2)] } });
      assert.deepEqual(bridge.ports(), [bridge.endpoint(2).port]);
    },
  ],
  [
    "shares the network of another's process",
    async (scene) => {
      using bridge = openBridge();
      const owner = await started(scene, { endpoints: [bridge.endpoint(2)] });
      const { pid } = await owner.state();
      assert.ok(pid !== undefined);
      await started(scene, { joinPid: pid }, server('guest of eth0'));
      assert.equal(await ask('10.208.0.2'), 'guest of eth0');
      const host = await scene.bench.create(scene.driver, ['sleep', '1000']);
      await assert.rejects(host.start({ network: { ...ALONE, joinPid: process.pid } }), /it is the host's/);
    },
  ],
];
