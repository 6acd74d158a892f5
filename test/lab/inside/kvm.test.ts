// Virtual machines on KVM, by the command line as a user has it. The processor is emulated: times mean nothing here.

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { berth, call, removeAll, SERVE } from './shell.ts';

const run = (...args: string[]) => berth('run', '--isolation', 'vm', ...args);

describe('virtual machines', () => {
  before(() => {
    call('modprobe', 'kvm_amd');
    berth('config', 'set', 'vm.kvm.seconds', '300');
    assert.match(berth('info'), /a guest booted with \/dev\/kvm/);
    berth('image', 'create', 'busybox');
    run('-d', '--name', 'first', '--boot', 'cold', '-p', '8080:80', 'busybox', ...SERVE);
  });
  after(removeAll);

  test('boot with KVM', () => {
    const pid = berth('inspect', '--format', '{{.State.Pid}}', 'first');
    assert.match(readFileSync(`/proc/${pid}/cmdline`, 'utf8'), /-accel\0kvm/);
    assert.match(readFileSync(`/proc/${pid}/cgroup`, 'utf8'), /^0::\/system\.slice\/berth-workloads-/);
  });

  test('run programs to their exit code, and further ones beside', () => {
    const failed = spawnSync(
      'berth',
      ['run', '--isolation', 'vm', 'busybox', 'sh', '-c', 'echo out; exit 7'],
      {
        encoding: 'utf8',
      },
    );
    assert.deepEqual([failed.status, failed.stdout], [7, 'out\n']);
    assert.equal(berth('exec', 'first', 'cat', '/www/index.html'), 'page');
  });

  test('are reached by a published port', () => {
    assert.equal(call('busybox', 'wget', '-qO-', 'http://127.0.0.1:8080/'), 'page');
  });

  test('share folders and volumes with the host', () => {
    const folder = mkdtempSync(join(tmpdir(), 'berth-share-'));
    mkdirSync(join(folder, 'below'));
    writeFileSync(join(folder, 'below/in'), 'from the host');
    const script = 'cat /share/below/in && echo from the guest > /share/out && echo kept > /data/file';
    assert.equal(
      run('--rm', '-v', `${folder}:/share`, '-v', 'kept:/data', 'busybox', 'sh', '-c', script),
      'from the host',
    );
    assert.equal(readFileSync(join(folder, 'out'), 'utf8'), 'from the guest\n');
    assert.equal(run('--rm', '-v', 'kept:/data', 'busybox', 'cat', '/data/file'), 'kept');
  });

  test('start from the template and from what waits', () => {
    for (const boot of ['fork', 'pool'])
      assert.equal(run('--rm', '--boot', boot, 'busybox', 'echo', boot), boot);
  });

  test('are forked while they run, and saved and restored', () => {
    run('-d', '--name', 'counter', 'busybox', 'sh', '-c', 'echo mark > /tmp/mark; exec sleep 100000');
    berth('fork', '-n', '2', 'counter');
    berth('checkpoint', 'create', '--name', 'point', 'counter');
    berth('rm', '-f', 'counter');
    berth('checkpoint', 'restore', '--name', 'again', 'point');
    assert.equal(berth('exec', 'again', 'cat', '/tmp/mark'), 'mark');
  });

  test('are told to have panicked, and to have died for want of memory', () => {
    run('-d', '--name', 'panics', 'busybox', 'sleep', '100000');
    spawnSync('berth', ['exec', 'panics', 'sh', '-c', 'echo c > /proc/sysrq-trigger']);
    berth('wait', 'panics');
    assert.match(berth('inspect', '--format', '{{.State.Error}}', 'panics'), /Kernel panic/);
    const hog = 'exec dd if=/dev/zero of=/dev/null bs=600M count=1';
    spawnSync('berth', [
      'run',
      '--isolation',
      'vm',
      '-m',
      '128m',
      '--name',
      'hog',
      'busybox',
      'sh',
      '-c',
      hog,
    ]);
    assert.equal(berth('inspect', '--format', '{{.State.OOMKilled}}', 'hog'), 'true');
  });
});
