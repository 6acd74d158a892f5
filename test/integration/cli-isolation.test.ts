// What a broken machine looks like to a user, and that its restart policy applies.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { CliHost } from '../fixtures/cli.ts';

let host: CliHost;
before(async () => {
  host = await CliHost.open();
  await host.ok('image', 'create', 'busybox');
});
after(async () => {
  assert.deepEqual(await host.close(), []);
});

const VM = ['run', '-d', '--isolation', 'vm', '--name'];
const PANIC = ['sh', '-c', 'echo c > /proc/sysrq-trigger'];

test('a panic is told in state, event and exit code, and starts the machine anew where the policy says so', async () => {
  await host.ok(...VM, 'healthy', 'busybox', 'sleep', '600');
  await host.ok(...VM, 'once', '--privileged', 'busybox', 'sleep', '600');
  await host.ok(...VM, 'again', '--privileged', '--restart', 'on-failure:1', 'busybox', 'sleep', '600');
  const events = host.start('events', '--filter', 'event=die', '--filter', 'event=start');
  await Promise.all([host.run('exec', 'once', ...PANIC), host.run('exec', 'again', ...PANIC)]);
  assert.equal(await host.ok('wait', 'once'), '255\n');
  await events.until(/container start [0-9a-f]{64} \(.*name=again\)/);
  events.child.kill();
  await events.done;
  const die = (name: string) =>
    new RegExp(
      `container die [0-9a-f]{64} \\(.*exitCode=255.*message=Kernel panic.*name=${name}, reason=guest-panic\\)`,
    );
  assert.match(events.stdout, die('once'));
  assert.match(events.stdout, die('again'));
  const format = '{{.State.Status}} {{.State.ExitCode}} {{.RestartCount}} {{.State.Error}}';
  assert.match(
    await host.ok('inspect', '-f', format, 'once'),
    /^exited 255 0 Kernel panic - not syncing: sysrq/,
  );
  assert.match(await host.ok('inspect', '-f', format, 'again'), /^running 0 1 \n$/);
  assert.equal(await host.ok('exec', 'healthy', 'echo', 'well'), 'well\n');
});
