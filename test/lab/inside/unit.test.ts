// Berth as a service of systemd: packaging/berth.service, enabled before this machine booted.

import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { after, before, describe, test } from 'node:test';
import { berth, call } from './shell.ts';

const property = (unit: string, name: string) =>
  call('systemctl', 'show', '--value', `--property=${name}`, unit);
const pidOf = (name: string) => berth('inspect', '--format', '{{.State.Pid}}', name);
const groupOf = (pid: string) => readFileSync(`/proc/${pid}/cgroup`, 'utf8').trim().replace(/^0::/, '');

describe('the service', () => {
  /** The main process of the workload that runs through all tests, and the unit in which it is. */
  let pid = '';
  let unit = '';

  before(() => {
    // The daemon was started by the boot, or this fails: nothing here starts it.
    assert.equal(property('berth', 'ActiveState'), 'active');
    berth('image', 'create', 'busybox');
    berth('run', '-d', '--name', 'lasting', 'busybox', 'sleep', '100000');
    pid = pidOf('lasting');
    unit = groupOf(pid).split('/')[2] ?? '';
  });
  after(() => berth('rm', '-f', 'lasting'));

  test('keeps workloads in groups of a unit that systemd has delegated', () => {
    assert.match(unit, /^berth-workloads-[0-9a-f]{8}\.service$/);
    assert.match(groupOf(pid), new RegExp(`^/system\\.slice/${unit}/[0-9a-f]{64}$`));
    assert.deepEqual([property(unit, 'Delegate'), property(unit, 'TasksMax')], ['yes', 'infinity']);
    assert.deepEqual(
      call('ls', '/sys/fs/cgroup')
        .split('\n')
        .filter((name) => name.startsWith('berth')),
      [],
    );
  });

  test('limits a workload there, whose death for want of memory ends nothing else', () => {
    berth(
      'run',
      '-d',
      '--name',
      'small',
      '--memory',
      '32m',
      '--pids-limit',
      '40',
      'busybox',
      'sleep',
      '100000',
    );
    const folder = `/sys/fs/cgroup${groupOf(pidOf('small'))}`;
    assert.equal(readFileSync(`${folder}/memory.max`, 'utf8').trim(), `${32 << 20}`);
    assert.equal(readFileSync(`${folder}/pids.max`, 'utf8').trim(), '40');
    const hog = 'exec dd if=/dev/zero of=/dev/null bs=200M count=1';
    assert.throws(() => berth('run', '--name', 'hog', '--memory', '32m', 'busybox', 'sh', '-c', hog));
    assert.equal(berth('inspect', '--format', '{{.State.OOMKilled}}', 'hog'), 'true');
    assert.equal(property(unit, 'ActiveState'), 'active');
    berth('rm', '-f', 'small', 'hog');
    assert.ok(existsSync(`/proc/${pid}`));
  });

  test('is replaced while workloads run, and the next daemon has them', () => {
    const main = property('berth', 'MainPID');
    call('systemctl', 'restart', 'berth');
    assert.notEqual(property('berth', 'MainPID'), main);
    // The daemon ended by itself.
    const journal = call('journalctl', '--quiet', '--boot', '--output=cat', '--unit=berth');
    assert.match(journal, /SIGTERM: stops listening/);
    assert.doesNotMatch(journal, /Killing process/);
    assert.equal(pidOf('lasting'), pid);
    assert.equal(berth('exec', 'lasting', 'echo', 'hello'), 'hello');
    berth('run', '--rm', 'busybox', 'true');
  });

  test('is stopped without its workloads, which end with their own unit', () => {
    call('systemctl', 'stop', 'berth');
    assert.ok(existsSync(`/proc/${pid}`));
    call('systemctl', 'stop', unit);
    assert.ok(!existsSync(`/proc/${pid}`));
    call('systemctl', 'start', 'berth');
    assert.equal(berth('inspect', '--format', '{{.State.Status}}', 'lasting'), 'exited');
    berth('start', 'lasting');
    assert.equal(berth('exec', 'lasting', 'echo', 'again'), 'again');
  });

  test('leaves workloads of a daemon that a job started on demand when that job is over', () => {
    const env = [
      ...['BERTH_ROOT=/var/lib/job', 'BERTH_HOST=unix:///run/job.sock'],
      ...['HOME=/root', `PATH=${process.env['PATH']}`],
    ];
    const job = ['systemd-run', '--quiet', '--wait', '--pipe', '--collect', 'env', ...env, 'sh', '-c'];
    call(...job, 'berth image create busybox && berth run -d --name outlives busybox sleep 100000');
    assert.equal(call('env', ...env, 'berth', 'exec', 'outlives', 'echo', 'alive'), 'alive');
    const group = groupOf(call('env', ...env, 'berth', 'inspect', '--format', '{{.State.Pid}}', 'outlives'));
    call('env', ...env, 'berth', 'rm', '-f', 'outlives');
    // The daemon and its supervisors are beside the workloads: the unit ends them all.
    call('systemctl', 'stop', group.split('/')[2] ?? '');
    assert.throws(() => call('env', 'BERTH_AUTOSTART=0', ...env, 'berth', 'version'));
  });
});
