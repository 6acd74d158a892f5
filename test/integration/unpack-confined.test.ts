// The process that reads layers, looked at while it waits for one: what a fault in its library could reach.

import assert from 'node:assert/strict';
import { mkdtemp, readdir, readFile, readlink, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { run, spawnStream } from '../../src/host/index.ts';

const BIN = join(import.meta.dirname, '../../build/bin');

/** The only child, when it reads: it is confined by then. */
async function reader(parent: number): Promise<number> {
  for (;;) {
    const [child] = (await readFile(`/proc/${parent}/task/${parent}/children`, 'utf8'))
      .split(' ')
      .map(Number);
    if (child && /^0 0x0 /.test(await readFile(`/proc/${child}/syscall`, 'utf8').catch(() => '')))
      return child;
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

async function lines(pid: number, file: string): Promise<string[]> {
  return (await readFile(`/proc/${pid}/${file}`, 'utf8')).split('\n').filter(Boolean);
}

test('unpacking has one mount, no processes or network, limits, and no system call that leads out', {
  timeout: 60_000,
}, async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'berth-unpack-'));
  t.after(() => rm(folder, { recursive: true, force: true }));
  const child = spawnStream(join(BIN, 'berth-unpack'), [folder]);
  child.stdout.resume();
  child.stderr.resume();
  const pid = await reader(child.pid);
  for (const kind of ['mnt', 'pid', 'net', 'ipc', 'uts'])
    assert.notEqual(await readlink(`/proc/${pid}/ns/${kind}`), await readlink(`/proc/self/ns/${kind}`), kind);
  const mounts = (await lines(pid, 'mountinfo')).map((line) => line.split(' '));
  assert.equal(mounts.length, 1);
  assert.match(mounts[0]?.[5] ?? '', /nosuid,nodev,noexec/);
  assert.deepEqual((await readdir(`/proc/${pid}/fd`)).length <= 4, true);
  const status = (await lines(pid, 'status')).join('\n');
  // Chown, access, owner, set-id, mknod, file capabilities, and CAP_SYS_ADMIN for attributes of overlayfs.
  assert.match(status, /CapEff:\s+000000008820001b/);
  assert.match(status, /NoNewPrivs:\s+1/);
  assert.match(status, /NSpid:\s+\d+\s+1\n/);
  const limits = (await lines(pid, 'limits')).join('\n');
  for (const limit of [
    /cpu time +3600/,
    /address space +1073741824/,
    /open files +64/,
    /file size +17592186044416/,
  ])
    assert.match(limits, limit);
  const { stdout } = await run(join(BIN, 'berth-bench'), ['filters', `${pid}`]);
  const calls = new Set([...stdout.matchAll(/^admitted=(.*)$/gm)].map(([, name = '']) => name));
  assert.ok(calls.has('read') && calls.size < 90, `${calls.size}`);
  for (const name of [
    'open_by_handle_at',
    'mount',
    'execve',
    'clone',
    'socket',
    'ptrace',
    'setns',
    'ioctl',
    'kill',
  ])
    assert.ok(!calls.has(name), name);
  child.kill('SIGKILL');
  await child.exit;
  // The confined process ends with the one that the daemon knows.
  while ((await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => ' Z ')).includes(' Z ') === false)
    await new Promise((resolve) => setTimeout(resolve, 5));
});
