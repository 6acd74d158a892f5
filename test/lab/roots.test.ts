// README's commands in the smallest roots of each release, which have Node, npm and git and nothing else: from a clean clone
// set-up brings the rest, and an image runs both ways. Of `npm test`, which takes as long there as anywhere, the kinds that
// find what a root lacks.

import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { after, before, describe, test } from 'node:test';
import { CACHE, execute, REPOSITORY, say } from './cache.ts';
import { openMinimalRoot } from './images.ts';
import { only, RELEASES } from './suite.ts';

/** The host's trusted certificates: one may be of a proxy that the root does not know. */
const TRUSTED = '/etc/ssl/certs/ca-certificates.crt';

/** The digest of the daemons' root in the name of their control group. */
const DIGEST = createHash('sha256').update('/var/lib/berth').digest('hex').slice(0, 8);

/** Tests that execute most of the programs which Berth executes. */
const TESTS = [
  'unit',
  'test/integration/images-store.test.ts',
  'test/integration/firewall-base.test.ts',
  'test/integration/container-chroot.test.ts',
  'test/integration/c-fuzz.test.ts',
  'test/conformance/container.test.ts',
];

for (const release of only.length === 0 || only.includes('roots') ? RELEASES : [])
  describe(`a minimal root of ${release.name}`, () => {
    const made = new AsyncDisposableStack();
    let root = '';
    before(async () => {
      const tar = await openMinimalRoot(release);
      root = await mkdtemp(join(CACHE, '.root-'));
      made.defer(() => rm(root, { recursive: true, force: true }));
      await execute('tar', ['-C', root, '-xpf', tar, '--exclude=./dev/*'], { maxBuffer: 64 << 20 });
      execFileSync('git', ['clone', '--quiet', REPOSITORY, join(root, 'srv/berth')]);
    });
    after(async () => {
      await made.disposeAsync();
      // Groups of daemons that ended with their namespaces.
      const left = `find /sys/fs/cgroup -depth -type d -path '*/berth-${DIGEST}*' -exec rmdir {} +`;
      await execute('sh', ['-c', left]).catch(() => {});
    });

    test('lists what set-up would install, with a reason each, and changes nothing', async () => {
      const text = await inside(
        root,
        'host',
        './berth setup --dry-run && ! [ -e node_modules ] && ! [ -e build ]',
      );
      for (const said of [
        / {2}crun: runs containers/,
        / {2}mount: /,
        / {2}xz-utils: /,
        /npm packages/,
        /kernel for guests/,
      ])
        assert.match(text, said);
      assert.equal(/ {2}virtiofsd: /.test(text), !release.without.includes('virtiofsd'));
    });

    test('is set up, and runs an image in both isolations', async () => {
      await inside(root, 'host', './berth setup');
      const missing = await inside(root, 'own', './berth setup --dry-run');
      assert.equal(missing, 'set-up: nothing else would be changed, and nothing has been\n');
      const text = await inside(root, 'own', './berth compare');
      assert.match(text, /DEPLOYMENT SPEED +container +VM/);
      assert.doesNotMatch(text, /cannot run|not usable/i);
    });

    test('passes tests of kinds that find what is missing', async () => {
      await inside(root, 'host', 'sh scripts/setup.sh --with-tests');
      await inside(root, 'own', `sh scripts/test.sh ${TESTS.join(' ')}`);
    });
  });

/** A shell command in the clone there, in namespaces of its own that end with it; the network may be this host's. */
async function inside(root: string, network: 'host' | 'own', command: string): Promise<string> {
  const mounts = [
    'mount --rbind /dev dev',
    'mount -t proc proc proc',
    'mount --rbind /sys sys',
    'mount -t tmpfs tmpfs tmp',
  ]
    .concat(
      network === 'host'
        ? ['cp /etc/resolv.conf etc/resolv.conf', `cp ${TRUSTED} etc/ssl/certs/`]
        : ['ip link set lo up'],
    )
    .join(' && ');
  const script = `mount --bind ${root} ${root} && cd ${root} && ${mounts} && exec chroot . env -i HOME=/root PATH=$PATH TERM=dumb NODE_EXTRA_CA_CERTS=${TRUSTED} sh -c 'cd /srv/berth && ${command}'`;
  const namespaces = [
    '--mount',
    '--pid',
    '--fork',
    '--kill-child',
    '--uts',
    ...(network === 'own' ? ['--net'] : []),
  ];
  const child = spawn('unshare', [...namespaces, 'sh', '-c', script], { stdio: ['ignore', 'pipe', 'pipe'] });
  let text = '';
  for (const stream of [child.stdout, child.stderr])
    createInterface({ input: stream }).on('line', (line) => {
      text += `${line}\n`;
      if (process.env['BERTH_LAB_VERBOSE'] !== undefined) say(line);
    });
  const code = await new Promise<number | null>((resolve) => child.once('close', resolve));
  assert.equal(code, 0, text);
  return text;
}
