// Machines on a network, however they came up: booted, copied from a template, taken from those that wait, or restored.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdir } from 'node:fs/promises';
import { connect } from 'node:net';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { after, before, describe, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { type EndpointSpec, type Instance, isBerthError, type StartOptions } from '../../src/core/index.ts';
import { createVmDriver } from '../../src/drivers/vm/index.ts';
import { type Bridge, ip, openBridge } from '../fixtures/bridge.ts';
import { execToEnd, openVmLab, runToEnd, type VmLab, vmPaths } from '../fixtures/vm.ts';

/** Tells everyone its counter, which goes on for as long as the machine does. */
const ANSWER = 'echo x >> /tmp/asked; cat /sys/class/net/eth0/address; wc -l < /tmp/asked';
const SERVER = ['nc', '-ll', '-p', '7', '-e', 'sh', '-c', ANSWER];

async function ask(host: string): Promise<{ mac: string; count: number }> {
  for (;;) {
    const socket = connect({ host, port: 7 });
    const failed = await once(socket, 'connect').then(
      () => undefined,
      (error: NodeJS.ErrnoException) => error,
    );
    if (failed === undefined) {
      const [mac = '', count] = (await text(socket)).split('\n');
      return { mac, count: Number(count) };
    }
    assert.equal(failed.code, 'ECONNREFUSED');
  }
}

const on = (...endpoints: EndpointSpec[]): StartOptions => ({
  network: { endpoints, nameservers: [], searches: [], hosts: [] },
});
const boot = (mode: string) => ({ annotations: { 'berth.boot': mode } });

describe('machines on a network', { timeout: 120_000 }, () => {
  let lab: VmLab;
  let bridge: Bridge;
  let second: Bridge;
  before(async () => {
    lab = await openVmLab();
    bridge = openBridge();
    second = openBridge(209);
  });
  after(async () => {
    await lab[Symbol.asyncDispose]();
    bridge[Symbol.dispose]();
    second[Symbol.dispose]();
  });
  const end = async (vm: Instance) => {
    await vm.kill(9);
    await vm.wait();
    await vm.remove();
  };

  test('one that boots is plugged in as one that is copied', async () => {
    const vm = await lab.create(SERVER, boot('cold'));
    await vm.start(on(bridge.endpoint(2)));
    assert.deepEqual(await ask('10.208.0.2'), { mac: '02:00:00:00:00:02', count: 1 });
    await end(vm);
  });

  test('one that waited is plugged in when it is taken', async () => {
    for (const mode of ['fork', 'pool']) await runToEnd(await lab.create(['true'], boot(mode)));
    const waits = async () => /^[1-9]/.test((await lab.driver.probe()).facts['pool'] ?? '');
    for (let tries = 0; tries < 1200 && !(await waits()); tries++) await delay(25);
    assert.deepEqual(bridge.ports(), []);
    const vm = await lab.create(SERVER, boot('pool'));
    await vm.start(on(bridge.endpoint(3)));
    assert.match((await lab.driver.probe()).facts['pool'] ?? '', / 1 hits/);
    assert.deepEqual(await ask('10.208.0.3'), { mac: '02:00:00:00:00:03', count: 1 });
    await end(vm);
  });

  test('a copy of a running one is where its own start puts it, and the other stays where it is', async () => {
    const vm = await lab.create(SERVER, boot('fork'));
    await vm.start(on(bridge.endpoint(4)));
    assert.equal((await ask('10.208.0.4')).count, 1);
    const dir = join(lab.root, 'captured');
    await mkdir(dir);
    const origin = await vm.checkpointing?.capture(dir);
    assert.ok(origin !== undefined && lab.driver.restore !== undefined);
    const copy = await lab.driver.restore(await lab.spec(SERVER), origin);
    await copy.start(on(bridge.endpoint(5), second.endpoint(6, { name: 'eth1', defaultRoute: false })));
    assert.deepEqual(await ask('10.208.0.5'), { mac: '02:00:00:00:00:05', count: 2 });
    assert.deepEqual(await ask('10.209.0.6'), { mac: '02:00:00:00:00:05', count: 3 });
    assert.deepEqual(await ask('10.208.0.4'), { mac: '02:00:00:00:00:04', count: 2 });
    const { stdout } = await execToEnd(copy, ['ip', '-o', '-4', 'addr']);
    assert.deepEqual(
      [...stdout.matchAll(/inet (\S+)/g)].map(([, address]) => address),
      ['127.0.0.1/8', '10.208.0.5/20', '10.209.0.6/20'],
    );
    const alone = await lab.driver.restore(await lab.spec(SERVER), origin);
    await alone.start();
    assert.equal((await execToEnd(alone, ['ls', '/sys/class/net'])).stdout.trim(), 'lo');
    await origin[Symbol.asyncDispose]();
    await Promise.all([end(vm), end(copy), end(alone)]);
  });

  test('more interfaces than a machine has are refused with the number it has', async () => {
    const many = [0, 1, 2].map((n) => bridge.endpoint(10 + n, { name: `eth${n}` }));
    const [first, second, third] = many;
    assert.ok(first !== undefined && second !== undefined && third !== undefined);
    const vm = await lab.create(['sleep', '1000'], boot('fork'));
    const refused = (error: unknown) => isBerthError(error, 'unsupported') && /\b2\b/.test(`${error}`);
    await assert.rejects(vm.start(on(...many)), refused);
    await vm.start(on(first));
    await vm.networking?.plug(second);
    await assert.rejects(async () => vm.networking?.plug(third), refused);
    await vm.networking?.unplug('eth0');
    await vm.networking?.plug(third);
    const { stdout } = await execToEnd(vm, ['ls', '/sys/class/net']);
    assert.equal(stdout.trim(), 'eth1\neth2\nlo');
    await end(vm);
  });

  test('where the host has no taps a machine has a loopback, and a network is refused with the remedy', async () => {
    const paths = { cacheDir: lab.cacheDir, kvmDevice: join(lab.root, 'no-kvm'), tunDevice: '/no/tun' };
    const driver = createVmDriver({ ...vmPaths, ...paths });
    const vm = await driver.create(await lab.spec(['sleep', '1000'], boot('cold')));
    await assert.rejects(
      vm.start(on(bridge.endpoint(2))),
      (error) => isBerthError(error, 'unavailable') && /load the module tun/.test(`${error}`),
    );
    await vm.start();
    assert.equal((await execToEnd(vm, ['ls', '/sys/class/net'])).stdout.trim(), 'lo');
    await assert.rejects(async () => vm.networking?.plug(bridge.endpoint(2)), /load the module tun/);
    await end(vm);
    await driver.close?.();
  });

  test('interfaces that are not plugged in are to be seen nowhere on the host', async () => {
    const names = () =>
      ip('-brief', 'link')
        .split('\n')
        .map((line) => line.split(/[\s@]/)[0]);
    const before = names();
    const vm = await lab.create(['sleep', '1000'], boot('fork'));
    await vm.start();
    assert.deepEqual(names(), before);
    await end(vm);
    assert.deepEqual(names(), before);
  });
});
