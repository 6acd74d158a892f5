// The Debian base image, made from the machine's own package sources. Needs a mirror.

import assert from 'node:assert/strict';
import { access, readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { isBerthError } from '../../src/core/index.ts';
import { run } from '../../src/host/process.ts';
import { openStore } from '../fixtures/archives-store.ts';

/** Whether the package sources of this machine can be reached; told by downloading one file from them. */
async function mirrorReachable(): Promise<boolean> {
  const { stdout } = await run('apt-get', ['indextargets', '--format', '$(SITE)', 'Created-By: Packages']);
  const site = stdout.split('\n').find((line) => /debian/.test(line));
  if (site === undefined) return false;
  return fetch(`${site}/dists/`, { method: 'HEAD', signal: AbortSignal.timeout(5000) }).then(
    () => true,
    () => false,
  );
}

test('a Debian image has the packages asked for, a shell and no left-overs', async (t) => {
  if (!(await mirrorReachable())) return t.skip('no Debian mirror can be reached from here');
  const { store } = await openStore(t);
  const lines: string[] = [];
  const image = await store.createBase({
    kind: 'debian',
    packages: ['hello'],
    reference: 'deb:1',
    onProgress: ({ status }) => lines.push(status),
  });
  assert.deepEqual([image.tags, image.config.Cmd], [['deb:1'], ['bash']]);
  assert.ok(lines.length > 5, lines.join());
  const [root = ''] = await store.layers(image);
  for (const name of ['bin/bash', 'usr/bin/hello', 'usr/bin/apt-get', 'etc/passwd', 'dev', 'proc', 'tmp'])
    await access(join(root, name));
  assert.deepEqual(await readdir(join(root, 'dev')), []);
  assert.deepEqual(
    (await readdir(join(root, 'var/lib/apt/lists'))).filter((name) => /Packages/.test(name)),
    [],
  );
  assert.equal(await readFile(join(root, 'etc/machine-id'), 'utf8'), '');
  assert.match(await readFile(join(root, 'etc/os-release'), 'utf8'), /^ID=debian$/m);
  assert.match((await run('chroot', [root, '/usr/bin/hello'])).stdout, /Hello, world/);
  await assert.rejects(
    store.createBase({ kind: 'debian', packages: ['no-such-package-here'] }),
    /mmdebstrap cannot make the image.*no-such-package-here/,
  );
  await assert.rejects(
    store.createBase({ kind: 'debian', packages: ['--evil'] }),
    /not the name of a Debian package/,
  );
});

test('making a Debian image can be cancelled, and leaves nothing running', async (t) => {
  if (!(await mirrorReachable())) return t.skip('no Debian mirror can be reached from here');
  const { store, content, root } = await openStore(t);
  const abort = new AbortController();
  const onProgress = ({ status }: { status: string }) => {
    if (/apt-get update/.test(status)) abort.abort();
  };
  await assert.rejects(
    store.createBase({ kind: 'debian', packages: [], signal: abort.signal, onProgress }),
    (error) => isBerthError(error, 'cancelled'),
  );
  assert.deepEqual(await content(), []);
  const { stdout } = await run('ps', ['-eo', 'args']);
  assert.doesNotMatch(stdout, new RegExp(root));
});
