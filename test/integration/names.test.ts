// Names as real programs find them: busybox and the C library, by port 53 of a gateway.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { run, type StreamChild, spawnStream } from '../../src/host/index.ts';

const HOST = fileURLToPath(new URL('../fixtures/names-host.ts', import.meta.url));

describe('the name service', () => {
  let folder: string;
  let host: StreamChild;
  let pid: string;

  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'berth-names-'));
    host = spawnStream('unshare', ['--net', '--mount', process.execPath, HOST, folder]);
    host.stderr.pipe(process.stderr);
    const [line] = (await Promise.race([once(host.stdout, 'data'), once(host.stdout, 'end')])) as [Buffer?];
    pid = String((JSON.parse(String(line)) as { pid: number }).pid);
  });

  after(async () => {
    host.stdin.end();
    assert.deepEqual(await host.exit, { code: 0, signal: null });
    await rm(folder, { recursive: true });
  });

  const inside = async (...command: string[]): Promise<string> =>
    (await run('nsenter', ['--net', '--mount', '--target', pid, ...command])).stdout;

  for (const gateway of ['10.208.0.1', 'fd00:208::1'])
    it(`answers busybox on ${gateway}, for workloads and for what is outside`, async () => {
      const web = await inside('busybox', 'nslookup', 'web', gateway);
      assert.match(web, /10\.208\.0\.2/);
      assert.match(web, /fd00:208::2/);
      assert.match(await inside('busybox', 'nslookup', '10.208.0.3', gateway), /name = db/);
      assert.match(await inside('busybox', 'nslookup', 'db', gateway), /10\.208\.0\.3/);
      assert.match(await inside('busybox', 'nslookup', 'example.com', gateway), /192\.0\.2\.7/);
      await assert.rejects(inside('busybox', 'nslookup', 'nowhere', gateway), /NXDOMAIN|can't find/);
    });

  it('answers the C library, by TCP when a datagram does not hold the answer', async () => {
    assert.match(await inside('getent', 'ahosts', 'WEB'), /^10\.208\.0\.2 /m);
    assert.match(await inside('getent', 'ahosts', 'web'), /^fd00:208::2 /m);
    assert.match(await inside('getent', 'hosts', '10.208.0.3'), /\bdb$/m);
    const many = await inside('getent', 'ahostsv4', 'many');
    assert.equal(new Set(many.match(/^[\d.]+/gm)).size, 100);
    await assert.rejects(inside('getent', 'hosts', 'nowhere'), /exit status 2/);
  });
});
