// What Berth makes once and keeps, damaged as a power failure or a full disk may leave it: it is noticed, made again, and
// the workload runs.

import assert from 'node:assert/strict';
import { open, readdir, readFile, stat, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { openLab } from '../fixtures/container.ts';
import { folderIs } from '../fixtures/engine.ts';
import { openVmLab, runToEnd } from '../fixtures/vm.ts';

type Damage = (path: string) => Promise<void>;

const cut: Damage = async (path) => truncate(path, Math.floor((await stat(path)).size / 2));
/** Damage of a file whose size reached the disk and whose content did not. */
const blank: Damage = async (path) => {
  const { size } = await stat(path);
  const file = await open(path, 'r+');
  await file.write(Buffer.alloc(Math.min(size, 1 << 20)));
  await file.truncate(Math.min(size, 1 << 20));
  await file.truncate(size);
  await file.close();
};
const empty: Damage = (path) => truncate(path, 0);

async function cachesIn(folder: string): Promise<string[]> {
  const names = await readdir(folder, { recursive: true });
  return names
    .filter((name) => /^(vmlinux-|initrd-|images\/|disks\/|accelerator)/.test(name))
    .map((name) => join(folder, name))
    .sort();
}

test('a VM runs whatever has become of the kernel, initrd, disks and verdict that were made before', {
  timeout: 300_000,
}, async () => {
  await using lab = await openVmLab();
  const runOnce = async (driver = lab.driver) => {
    const vm = await driver.create(await lab.spec(['cat', '/etc/passwd']));
    const { stdout, code } = await runToEnd(vm);
    await vm.remove();
    assert.equal(code, 0);
    assert.match(stdout, /^root:/);
  };
  const spares = join(lab.cacheDir, 'disks');
  const spareIsThere = () => folderIs(spares, (names) => names.some((name) => name.endsWith('.ext4')));
  await runOnce();
  await spareIsThere();
  const caches = await cachesIn(lab.cacheDir);
  for (const kind of ['vmlinux-', 'initrd-', '.erofs', '.ext4', '.seal', '.json'])
    assert.ok(
      caches.some((path) => path.includes(kind)),
      kind,
    );
  for (const damages of [
    [cut, blank],
    [blank, empty],
  ]) {
    const before = await Promise.all(
      (await cachesIn(lab.cacheDir)).map((path) => readFile(path, 'latin1').catch(() => path)),
    );
    let turn = 0;
    for (const path of await cachesIn(lab.cacheDir)) await damages[turn++ % 2]?.(path);
    const next = lab.nextDriver();
    await runOnce(next);
    await spareIsThere();
    assert.deepEqual((await cachesIn(lab.cacheDir)).length, before.length);
  }
});

test('a damaged system call filter is compiled anew', async () => {
  await using lab = await openLab();
  const folder = join(lab.bench.root, 'state/seccomp');
  const filters = (await readdir(folder))
    .filter((name) => name.endsWith('.bpf'))
    .map((name) => join(folder, name));
  const [path = ''] = filters;
  const whole = await readFile(path);
  const zeros = () => writeFile(path, Buffer.alloc(whole.length));
  for (const damage of [zeros, () => cut(path), () => empty(path), () => empty(`${path}.seal`)]) {
    await damage();
    const { probes } = await lab.nextDriver().probe();
    assert.equal(probes.find(({ name }) => name === 'compiled-seccomp')?.ok, true);
    assert.deepEqual(await readFile(path), whole);
  }
});
