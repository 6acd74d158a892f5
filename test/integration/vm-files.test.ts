// Files of a VM: mounts of the host, tmpfs, a read-only root, and copying in and out, running or not.

import assert from 'node:assert/strict';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { after, before, describe, test } from 'node:test';
import { run } from '../../src/host/index.ts';
import { execToEnd, openVmLab, runToEnd, type VmLab } from '../fixtures/vm.ts';

const bind = (source: string, target: string, readonly = false) => ({
  ...{ type: 'bind' as const, source, target, readonly },
  propagation: 'rprivate' as const,
});
const NO_OPTIONS = { noOverwriteDirNonDir: false, copyUidGid: false };

async function tarOf(folder: string, name: string): Promise<Readable> {
  const path = join(folder, 'made.tar');
  await run('tar', ['-cf', path, '-C', folder, name]);
  return Readable.from([await readFile(path)]);
}

async function untar(stream: Readable, folder: string): Promise<void> {
  const chunks: Buffer[] = [];
  for await (const chunk of stream) chunks.push(chunk as Buffer);
  await run('tar', ['-xf', '-', '-C', folder], { input: Buffer.concat(chunks) });
}

describe('files of a VM', { timeout: 300_000 }, () => {
  let lab: VmLab;
  let host: string;
  before(async () => {
    lab = await openVmLab();
    host = join(lab.root, 'host');
    await mkdir(join(host, 'data/deep'), { recursive: true });
    await writeFile(join(host, 'data/deep/note'), 'from the host\n');
    await writeFile(join(host, 'single'), 'one file\n');
  });
  after(async () => {
    await lab?.[Symbol.asyncDispose]();
  });

  test('of the host are shared as folders and single files, writable or not', async () => {
    const script = [
      'cat /data/deep/note /etc/foo',
      'echo from the guest > /data/reply',
      'echo changed >> /etc/foo || echo refused-file',
      'touch /sealed/x || echo refused-folder',
      'cat /sealed/deep/note; mount | grep -c virtiofs',
    ].join('; ');
    const vm = await lab.create(['sh', '-c', script], {
      mounts: [
        bind(join(host, 'data'), '/data'),
        bind(join(host, 'data'), '/sealed', true),
        bind(join(host, 'single'), '/etc/foo', true),
      ],
    });
    const { stdout } = await runToEnd(vm);
    const lines = ['from the host', 'one file', 'refused-file', 'refused-folder', 'from the host', '3', ''];
    assert.equal(stdout, lines.join('\n'));
    assert.equal(await readFile(join(host, 'data/reply'), 'utf8'), 'from the guest\n');
    assert.equal(await readFile(join(host, 'single'), 'utf8'), 'one file\n');
    assert.deepEqual(await vm.files?.changes(), []);
  });

  test('lie on tmpfs where asked, with size, mode and options, and the root may be read-only', async () => {
    const script = [
      'touch /x || echo sealed',
      'stat -c %a /scratch; df -k /scratch | tail -1 | tr -s " " | cut -d" " -f2',
      'cp /bin/busybox /scratch/b && { /scratch/b true || echo noexec; }',
      'touch /run/other && echo written; df -k /dev/shm | tail -1 | tr -s " " | cut -d" " -f2',
    ].join('; ');
    const vm = await lab.create(['sh', '-c', script], {
      readonlyRoot: true,
      resources: { shmBytes: 32 << 20 },
      mounts: [
        { type: 'tmpfs', target: '/scratch', sizeBytes: 8 << 20, mode: 0o700, readonly: false, options: [] },
        { type: 'tmpfs', target: '/run', readonly: false, options: [] },
      ],
    });
    assert.equal((await runToEnd(vm)).stdout, 'sealed\n700\n8192\nnoexec\nwritten\n32768\n');
  });

  test('are copied in and out while it runs', async () => {
    const vm = await lab.create(['sleep', '1000'], { mounts: [bind(join(host, 'data'), '/data')] });
    await vm.start();
    await vm.files?.write('/tmp', await tarOf(host, 'data'), NO_OPTIONS);
    assert.equal((await execToEnd(vm, ['cat', '/tmp/data/deep/note'])).stdout, 'from the host\n');
    await execToEnd(vm, [
      'sh',
      '-c',
      'mkdir -p /out/sub; head -c 2000000 /dev/urandom > /out/sub/big; ln -s big /out/sub/link',
    ]);
    const sum = (await execToEnd(vm, ['sha256sum', '/out/sub/big'])).stdout.slice(0, 64);
    const into = join(lab.root, 'copied');
    await mkdir(into);
    const stream = await vm.files?.read('/out/sub');
    assert.ok(stream);
    await untar(stream, into);
    assert.equal((await run('sha256sum', [join(into, 'sub/link')])).stdout.slice(0, 64), sum);
    const stat = await vm.files?.stat('/out/sub/link');
    assert.equal(stat?.linkTarget.split('/').at(-1), 'big');
    // What is mounted is reached as the workload sees it.
    assert.equal((await vm.files?.stat('/data/deep/note'))?.sizeBytes, 14);
    await assert.rejects(Promise.resolve(vm.files?.stat('/no/such')), { code: 'not-found' });
  });

  test('are copied in before its first start and out after its end', async () => {
    const vm = await lab.create(['sh', '-c', 'cat /tmp/single > /answer; echo more >> /answer']);
    await vm.files?.write('/tmp', await tarOf(host, 'single'), NO_OPTIONS);
    assert.equal((await runToEnd(vm)).code, 0);
    const into = join(lab.root, 'answered');
    await mkdir(into);
    const stream = await vm.files?.read('/answer');
    assert.ok(stream);
    await untar(stream, into);
    assert.equal(await readFile(join(into, 'answer'), 'utf8'), 'one file\nmore\n');
    const changes = await vm.files?.changes();
    assert.deepEqual(changes?.map(({ kind, path }) => `${kind} ${path}`).sort(), [
      '0 /tmp',
      '1 /answer',
      '1 /tmp/single',
    ]);
  });
});
