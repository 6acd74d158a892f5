import assert from 'node:assert/strict';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { CliHost } from '../fixtures/cli.ts';

let host: CliHost;

before(async () => {
  host = await CliHost.open();
  await host.ok('image', 'create', 'busybox');
});

after(async () => {
  assert.deepEqual(await host.close(), []);
});

for (const isolation of ['container', 'vm'] as const) {
  const run = (...args: string[]) => host.run('run', '--rm', '--isolation', isolation, ...args);

  describe(`berth run --isolation ${isolation}`, () => {
    test('shows stdout and stderr apart and ends with the exit code of the command', async () => {
      const { code, stdout, stderr } = await run('busybox', 'sh', '-c', 'echo out; echo err >&2; exit 7');
      assert.deepEqual({ code, stdout, stderr }, { code: 7, stdout: 'out\n', stderr: 'err\n' });
    });

    test('passes a whole stdin on and its end', async () => {
      const input = Buffer.alloc(300_000, 'abcdefghi\n');
      const fed = await host.feed(input, 'run', '-i', '--rm', '--isolation', isolation, 'busybox', 'md5sum');
      assert.match(fed.stdout, /^[0-9a-f]{32} {2}-\n$/);
      const { createHash } = await import('node:crypto');
      assert.equal(fed.stdout.slice(0, 32), createHash('md5').update(input).digest('hex'));
    });

    test('loses nothing of a long output', async () => {
      const { code, stdout } = await run('busybox', 'seq', '1', '60000');
      assert.equal(code, 0);
      assert.equal(stdout.split('\n').length, 60001);
      assert(stdout.endsWith('59999\n60000\n'));
    });

    test('gives the command its environment, folder, user and host name', async () => {
      const file = join(host.root, 'env');
      await writeFile(file, 'FROM_FILE=1\n');
      const script = 'echo $FROM_FILE $A $PWD $(id -u):$(id -g) $(hostname)';
      const { stdout, stderr } = await run(
        ...['--env-file', file, '-e', 'A=2', '-w', '/tmp', '-u', '1000:100', '-h', 'inside'],
        ...['busybox', 'sh', '-c', script],
      );
      assert.equal(stdout, '1 2 /tmp 1000:100 inside\n', stderr);
    });

    test('ends with 127 for a command that is not there and 126 for one that cannot be executed', async () => {
      const missing = await run('busybox', 'no-such-command');
      assert.equal(missing.code, 127, missing.stderr);
      assert.match(missing.stderr, /no-such-command.*not found/);
      const folder = await run('busybox', '/etc');
      assert.equal(folder.code, 126, folder.stderr);
    });

    test('passes an interrupt on to the command', async () => {
      const script = 'trap "echo caught; exit 9" INT; echo ready; while :; do sleep 0.1; done';
      const running = host.start('run', '--rm', '--isolation', isolation, 'busybox', 'sh', '-c', script);
      await running.until(/ready/);
      running.child.kill('SIGINT');
      const { code, stdout } = await running.done;
      assert.equal(stdout, 'ready\ncaught\n');
      assert.equal(code, 9);
    });

    test('leaves nothing behind with --rm', async () => {
      assert.equal(await host.ok('ps', '-aq'), '');
    });

    test('in the background can be followed, entered, stopped and started again', async () => {
      const name = `web-${isolation}`;
      const script = 'trap "exit 3" TERM; n=0; while :; do echo line $n; n=$((n+1)); sleep 0.1; done';
      const id = (
        await host.ok('run', '-d', '--name', name, '--isolation', isolation, 'busybox', 'sh', '-c', script)
      ).trim();
      assert.match(id, /^[0-9a-f]{64}$/);
      const following = host.start('logs', '-f', name);
      await following.until(/line 3\n/);
      assert.match(following.stdout, /^line 0\nline 1\n/);
      assert.equal((await host.run('exec', '-e', 'A=5', name, 'sh', '-c', 'echo $A; exit 6')).code, 6);
      assert.equal((await host.feed('fed', 'exec', '-i', name, 'cat')).stdout, 'fed');
      assert.equal((await host.run('exec', name, 'no-such-command')).code, 127);
      assert.match(await host.ok('top', name), /sleep|sh/);
      assert.match(await host.ok('stats', '--no-stream', name), new RegExp(`${name} .*%`));
      await host.ok('stop', name);
      const followed = await following.done;
      assert.equal(followed.code, 0);
      assert.equal(await host.ok('wait', name), '3\n');
      assert.match(
        await host.ok('ps', '-a', '--filter', `name=${name}`),
        new RegExp(`${isolation} .*Exited \\(3\\)`),
      );
      assert.equal(await host.ok('logs', name), followed.stdout);
      await host.ok('start', name);
      assert.equal(await host.ok('inspect', '-f', '{{.State.Running}}', name), 'true\n');
      await host.ok('rm', '-f', name);
    });
  });
}

describe('berth run', () => {
  const refused: readonly (readonly [readonly string[], RegExp])[] = [
    [['--nmae', 'x', 'busybox'], /unknown flag: --nmae\nDid you mean --name\?\n\nSee 'berth run --help'/],
    [[], /"berth run" requires at least 1 argument/],
    [['--memory', 'lots', 'busybox'], /invalid size "lots" for --memory/],
    [['-p', '70000:80', 'busybox'], /invalid published port "70000:80"/],
    [['--network', 'nowhere', 'busybox', 'true'], /nowhere/],
    [['-v', 'relative', 'busybox'], /not an absolute path/],
  ];
  for (const [args, message] of refused) {
    test(`ends with 125 and says what is wrong: ${args.join(' ')}`, async () => {
      const { code, stderr } = await host.run('run', ...args);
      assert.match(stderr, message);
      assert.equal(code, 125);
    });
  }

  test('does not pull with --pull never', async () => {
    const { code, stderr } = await host.run('run', '--pull', 'never', 'not-here');
    assert.match(stderr, /No such image: not-here/i);
    assert.equal(code, 125);
  });

  test('refuses a name that is taken and names who has it', async () => {
    await host.ok('create', '--name', 'taken', 'busybox');
    const { code, stderr } = await host.run('run', '--name', 'taken', 'busybox');
    assert.match(stderr, /name "?\/?taken"? is already in use/);
    assert.equal(code, 125);
    await host.ok('rm', 'taken');
  });

  test('writes the id to a file that must not exist', async () => {
    const file = join(host.root, 'id');
    await host.ok('run', '--cidfile', file, '--name', 'cid', 'busybox', 'true');
    assert.equal(await host.ok('inspect', '-f', '{{.Id}}', 'cid'), `${await readFile(file, 'utf8')}\n`);
    const again = await host.run('run', '--cidfile', file, 'busybox', 'true');
    assert.equal(again.code, 125);
    assert.match(again.stderr, /it exists/);
    await host.ok('rm', 'cid');
  });

  test('goes on when the daemon is killed and tells the user', async () => {
    const running = host.start(
      'run',
      '--name',
      'orphan',
      'busybox',
      'sh',
      '-c',
      'echo ready; sleep 1; echo late',
    );
    await running.until(/ready/);
    await host.killDaemons('SIGKILL');
    const { code, stderr } = await running.done;
    assert.equal(code, 125);
    assert.match(stderr, /berth: .*daemon/);
    assert.equal(await host.ok('wait', 'orphan'), '0\n');
    assert.equal(await host.ok('logs', 'orphan'), 'ready\nlate\n');
    await host.ok('rm', 'orphan');
  });
});
