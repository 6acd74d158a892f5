// firewalld and ufw as they are installed, beside the daemon: each lets nothing pass that it was not told of.

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { after, before, describe, test } from 'node:test';
import { berth, call, removeAll, SERVE } from './shell.ts';

const ip = (...args: string[]) => call('ip', ...args);
/** A page from another host, which is a network namespace. (With -T, Debian 12's static wget dies of SIGSEGV.) */
const asked = (url: string) => {
  const wget = ['timeout', '5', 'busybox', 'wget', '-qO-', url];
  const { stdout, signal } = spawnSync('ip', ['netns', 'exec', 'outside', ...wget], { encoding: 'utf8' });
  assert.equal(signal, null);
  return stdout;
};

describe('beside a firewall', () => {
  before(() => {
    ip('netns', 'add', 'outside');
    ip('link', 'add', 'uplink', 'type', 'veth', 'peer', 'name', 'eth0', 'netns', 'outside');
    ip('addr', 'add', '198.51.100.1/24', 'dev', 'uplink');
    ip('link', 'set', 'uplink', 'up');
    for (const args of [
      ['addr', 'add', '198.51.100.2/24', 'dev', 'eth0'],
      ['link', 'set', 'eth0', 'up'],
    ])
      ip('-n', 'outside', ...args);
    berth('image', 'create', 'busybox');
    berth('run', '-d', '--name', 'web', '-p', '0.0.0.0:8080:80', 'busybox', ...SERVE);
    berth('run', '-d', '--name', 'client', 'busybox', 'sleep', '100000');
    call('sh', '-c', 'cd /run && mkdir -p www && echo host > www/index.html && busybox httpd -p 8000 -h www');
  });
  after(removeAll);

  /** The next daemon restores the networks beside its first answers; a workload's start waits for it. */
  const restartDaemon = () => {
    call('systemctl', 'restart', 'berth');
    berth('run', '--rm', 'busybox', 'true');
  };

  /** Workloads are reached, reach each other by name and go out; the firewall's own rules hold for all else. */
  const assertBoth = () => {
    assert.equal(asked('http://198.51.100.1:8080/'), 'page\n');
    assert.equal(asked('http://198.51.100.1:8000/'), '');
    assert.equal(berth('exec', 'client', 'wget', '-qO-', 'http://web/'), 'page');
    assert.equal(
      berth('exec', 'client', 'ping', '-c', '1', '-W', '3', '198.51.100.2').includes('1 packets received'),
      true,
    );
  };

  test('firewalld, and after it has read its rules anew', async () => {
    assert.equal(asked('http://198.51.100.1:8000/'), 'host\n');
    call('systemctl', 'start', 'firewalld');
    restartDaemon();
    const trusts = () =>
      call('firewall-cmd', '--zone=trusted', '--list-interfaces').split(' ').includes('berth0');
    assert.ok(trusts());
    assertBoth();
    call('firewall-cmd', '--reload');
    // The daemon hears of it from the kernel, and repairs what is missing.
    for (let tries = 0; !trusts() && tries < 20; tries++);
    assertBoth();
    call('systemctl', 'stop', 'firewalld');
  });

  test('ufw', () => {
    call('ufw', '--force', 'enable');
    restartDaemon();
    assertBoth();
    call('ufw', '--force', 'disable');
  });
});
