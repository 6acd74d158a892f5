// What a container may not do, looked at from inside.

import assert from 'node:assert/strict';
import { chown, stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import { after, before, describe, it } from 'node:test';
import type { InstanceSpec } from '../../src/core/index.ts';
import { type Lab, openLab, SHIM_PATH } from '../fixtures/container.ts';

let lab: Lab;
before(async () => {
  lab = await openLab();
});
after(() => lab[Symbol.asyncDispose]());

const PROBE = {
  type: 'bind',
  source: dirname(SHIM_PATH),
  target: '/probe',
  readonly: true,
  propagation: 'rprivate',
} as const;

const base: InstanceSpec['security'] = {
  privileged: false,
  capAdd: [],
  capDrop: [],
  noNewPrivileges: false,
  seccomp: 'default',
};

async function inside(script: string, change: Partial<InstanceSpec> = {}): Promise<string> {
  const { stdout } = await lab.bench.run(lab.driver, ['sh', '-c', script], { mounts: [PROBE], ...change });
  return stdout.trim();
}

const filterState = async (security: Partial<InstanceSpec['security']>) => {
  const text = await inside('/probe/berth-shim probe filter', { security: { ...base, ...security } });
  return Object.fromEntries(text.split(' ').map((pair) => pair.split('=')));
};

describe('a container', () => {
  it('has Docker’s default capabilities and no more', async () => {
    assert.match(
      await inside('grep Cap /proc/self/status'),
      /CapPrm:\s+00000000a80425fb[\s\S]*CapBnd:\s+00000000a80425fb/,
    );
  });
  it('has the capabilities added and not the ones dropped', async () => {
    const security = { ...base, capAdd: ['NET_ADMIN'], capDrop: ['CHOWN', 'MKNOD'] };
    assert.equal(
      await inside(
        'chown 1 /etc/motd 2>/dev/null || echo refused; ip link add d0 type bridge 2>&1 | grep -c permitted',
        { security },
      ),
      'refused\n0',
    );
  });
  it('runs ordinary users without any in effect', async () => {
    const { stdout } = await lab.bench.run(lab.driver, ['grep', 'CapEff', '/proc/self/status'], {
      process: { user: 'ada' },
    });
    assert.match(stdout, /CapEff:\s+0000000000000000/);
  });
  it('is under the system call filter', async () => {
    const state = await filterState({});
    assert.deepEqual(
      [state['mode'], state['userfaultfd'], state['unshare'], state['clone3'], state['getpid']],
      ['2', '1', '1', '38', '0'],
    );
  });
  it('is under it in exec as well', async () => {
    const instance = await lab.bench.create(lab.driver, ['sleep', '1000'], { mounts: [PROBE] });
    await instance.start();
    const spec = (await lab.bench.spec([])).process;
    const exec = await instance.exec?.run({ ...spec, args: ['grep', 'Seccomp:', '/proc/self/status'] });
    const chunks: Buffer[] = [];
    for await (const chunk of exec?.output ?? []) chunks.push(chunk as Buffer);
    assert.match(Buffer.concat(chunks).toString(), /Seccomp:\s+2/);
  });
  it('is under a profile of the user’s own, or none', async () => {
    const profile = JSON.stringify({
      defaultAction: 'SCMP_ACT_ALLOW',
      syscalls: [{ names: ['unshare'], action: 'SCMP_ACT_ERRNO', errnoRet: 95 }],
    });
    assert.equal((await filterState({ seccomp: profile }))['unshare'], '95');
    assert.equal((await filterState({ seccomp: 'unconfined' }))['mode'], '0');
  });
  it('gains nothing by annotations of the runtime', async () => {
    const script = '/probe/berth-shim probe filter';
    const text = await inside(script, { annotations: { 'run.oci.seccomp_bpf_data': 'BgAAAAAA/38=' } });
    assert.match(text, /userfaultfd=1 /);
  });
  it('cannot write what is masked or read-only, nor mount, nor see devices of the host', async () => {
    const script = [
      'echo 1 2>/dev/null > /proc/sys/kernel/panic || echo sysctl refused',
      'mount -t tmpfs none /tmp 2>/dev/null || echo mount refused',
      'mkdir /sys/fs/cgroup/memory/x 2>/dev/null || echo cgroup refused',
      'mknod /tmp/disk b 254 0 && (head -c 1 /tmp/disk >/dev/null 2>&1 || echo disk refused)',
      'ls /dev | tr "\\n" " "',
    ].join('; ');
    const lines = (await inside(script)).split('\n');
    assert.deepEqual(lines.slice(0, -1), [
      'sysctl refused',
      'mount refused',
      'cgroup refused',
      'disk refused',
    ]);
    assert.doesNotMatch(lines.at(-1) ?? '', /vda|sda|kvm|mem|loop/);
  });
  it('sees no process of the host', async () => {
    assert.match(await inside('echo $$; ls -d /proc/[0-9]* | wc -l'), /^1\n[2-4]$/);
  });
  it('gains no privilege by setuid programs when told so', async () => {
    const security = { ...base, noNewPrivileges: true };
    assert.match(await inside('grep NoNewPrivs /proc/self/status', { security }), /NoNewPrivs:\s+1/);
  });
  it('may do what it wants when privileged', async () => {
    const security = { ...base, privileged: true };
    assert.equal(
      await inside('mount -t tmpfs none /tmp && echo ok; [ -e /dev/kmsg ] && echo devices', { security }),
      'ok\ndevices',
    );
  });
  it('is given no file of the host as its input or output, whoever it runs as', async () => {
    const { uid, gid, mode } = await stat('/dev/null');
    const look =
      'cat; for fd in 0 1 2; do readlink /proc/self/fd/$fd; done | sed "s/[0-9].*//"; chmod 600 /proc/self/fd/0';
    for (const tty of [false, true]) {
      const instance = await lab.bench.create(lab.driver, ['sleep', '1000'], {
        process: { user: 'ada', tty },
      });
      await instance.start();
      const spec = (await lab.bench.spec([])).process;
      const exec = await instance.exec?.run({
        ...spec,
        args: ['sh', '-c', tty ? 'true' : look],
        user: 'ada',
        tty,
      });
      const chunks: Buffer[] = [];
      for await (const chunk of exec?.output ?? []) chunks.push(chunk as Buffer);
      const text = Buffer.concat(chunks).toString();
      if (!tty) assert.deepEqual(text.match(/pipe:|\/dev\/\S*/g), ['pipe:', 'pipe:', 'pipe:'], text);
    }
    const now = await stat('/dev/null');
    if (now.uid !== uid) await chown('/dev/null', uid, gid);
    assert.deepEqual([now.uid, now.gid, now.mode], [uid, gid, mode]);
  });
  it('keeps its writes to itself', async () => {
    await inside('echo changed > /etc/motd; rm /data/gone');
    assert.equal(await inside('cat /etc/motd; ls /data'), 'welcome\ngone\nkept\nlink\nup');
  });
});
