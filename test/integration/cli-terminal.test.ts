import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
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

const settings = async (name: string) => readFile(join(host.root, name), 'utf8');

for (const isolation of ['container', 'vm'] as const) {
  describe(`a terminal in a ${isolation}`, () => {
    test('is a terminal of the same size, and ours is as it was afterwards', async () => {
      const line =
        'stty rows 31 columns 97; stty -g > before; ' +
        `berth run -it --rm --isolation ${isolation} busybox sh; code=$?; stty -g > after; exit $code`;
      const shell = host.onTerminal(line);
      await shell.until(/[#$] /);
      shell.send('stty size; echo sum $((20+3))\n');
      await shell.until(/31 97[\s\S]*sum 23/);
      shell.send('exit 5\n');
      assert.equal((await shell.done).code, 5);
      assert.equal(await settings('after'), await settings('before'));
    });

    test('ctrl-c reaches the command and not us', async () => {
      const shell = host.onTerminal(`berth run -it --rm --isolation ${isolation} busybox sh`);
      await shell.until(/[#$] /);
      // Said by the child itself: only then does the terminal's interrupt go to it and not to the shell.
      shell.send("sh -c 'echo go$((1+1)); exec sleep 1000'\n");
      await shell.until(/go2/);
      shell.send('\x03');
      shell.send('echo alive$((1+1)); exit 0\n');
      await shell.until(/alive2/);
      assert.equal((await shell.done).code, 0);
    });

    test('is left by the detach keys and can be come back to', async () => {
      const name = `tty-${isolation}`;
      const shell = host.onTerminal(
        `stty -g > before; berth run -it --name ${name} --isolation ${isolation} busybox sh; code=$?; stty -g > after; exit $code`,
      );
      await shell.until(/[#$] /);
      shell.send('echo left > /tmp/mark\n');
      await shell.until(/mark/);
      shell.send('\x10\x11');
      assert.equal((await shell.done).code, 0);
      assert.equal(await settings('after'), await settings('before'));
      assert.equal(await host.ok('inspect', '-f', '{{.State.Running}}', name), 'true\n');
      const back = host.onTerminal(`berth attach --detach-keys ctrl-x,x ${name}`);
      back.send('cat /tmp/mark; echo back$((1+1))\n');
      await back.until(/left[\s\S]*back2/);
      back.send('exit 4\n');
      assert.equal((await back.done).code, 4);
      await host.ok('rm', name);
    });

    test('is given to an exec as well', async () => {
      const name = `exec-${isolation}`;
      await host.ok('run', '-d', '--name', name, '--isolation', isolation, 'busybox', 'sleep', '1000');
      const shell = host.onTerminal(`stty rows 20 columns 70; berth exec -it ${name} sh`);
      await shell.until(/[#$] /);
      shell.send('tty; stty size; exit 6\n');
      await shell.until(/\/dev\/pts\/\d+[\s\S]*20 70/);
      assert.equal((await shell.done).code, 6);
      await host.ok('rm', '-f', name);
    });
  });
}

test('a terminal is refused when stdin is none', async () => {
  const { code, stderr } = await host.run('run', '-it', '--rm', 'busybox', 'sh');
  assert.equal(code, 125);
  assert.match(stderr, /the input device is not a TTY/);
});
