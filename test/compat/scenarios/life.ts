// Starting, stopping, waiting, pausing, renaming, updating, restarting.

import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { expectOk, lines, type Scenario } from '../scenario.ts';

const BOOTS = 'boots a machine of its own';

/** Any disk of this host: none is read or written. */
async function firstDisk(): Promise<string> {
  const table = await readFile('/proc/partitions', 'utf8');
  return `/dev/${/^ +\d+ +\d+ +\d+ (\S+)$/m.exec(table)?.[1]}`;
}

export const lifeScenarios: readonly Scenario[] = [
  {
    title: 'logs show, follow, cut and stamp what a detached workload said',
    area: 'logs',
    covers: 'run -d, logs, logs -f --tail --since -t',
    run: async ({ run, docker, name }) => {
      const box = name('logs');
      const script = 'echo one; echo two >&2; echo three; sleep 1; echo end';
      const id = expectOk(await run(['-d', '--name', box, 'busybox', 'sh', '-c', script]));
      assert.match(id, /^[0-9a-f]{64}$/);
      const followed = await docker(['logs', '-f', box]);
      assert.deepEqual(followed, { code: 0, stdout: 'one\nthree\nend\n', stderr: 'two\n' });
      assert.equal(expectOk(await docker(['logs', '--tail', '1', box])), 'end');
      const stamped = lines(expectOk(await docker(['logs', '-t', box])));
      assert.match(stamped[0] ?? '', /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z one$/);
      const last = stamped.at(-1)?.split(' ')[0] ?? '';
      assert.equal(expectOk(await docker(['logs', '--since', last, box])), 'end');
      expectOk(await docker(['rm', box]));
    },
  },
  {
    title: 'kill, wait and ps agree on how a workload ended; it starts again, and rm refuses while it runs',
    area: 'life',
    covers: 'kill -s, wait, start, stop -t, restart, rm, rm -f, exit code 137',
    run: async ({ run, docker, name }) => {
      const box = name('life');
      expectOk(await run(['-d', '--name', box, 'busybox', 'sleep', '1000']));
      const waiting = docker(['wait', box]);
      expectOk(await docker(['kill', box]));
      assert.equal(expectOk(await waiting), '137');
      const refused = await docker(['kill', box]);
      assert.equal(refused.code, 1);
      assert.match(refused.stderr, /is not running/);
      expectOk(await docker(['start', box]));
      assert.equal((await docker(['rm', box])).code, 1);
      expectOk(await docker(['stop', '-t', '0', box]));
      const format = '{{.State.Status}} {{.State.ExitCode}} {{.State.Running}}';
      assert.equal(expectOk(await docker(['inspect', '-f', format, box])), 'exited 137 false');
      expectOk(await docker(['restart', '-t', '0', box]));
      assert.equal(
        expectOk(await docker(['ps', '--filter', `name=^/${box}$`, '--format', '{{.State}}'])),
        'running',
      );
      expectOk(await docker(['rm', '-f', box]));
    },
  },
  {
    title: 'a stop signal is delivered, and a workload that heeds it ends as it wishes',
    area: 'life',
    covers: 'run --stop-signal, stop, kill -s',
    vmOneClient: BOOTS,
    run: async ({ run, docker, name }) => {
      const box = name('signal');
      const script =
        'trap "echo usr1" USR1; trap "echo bye; exit 9" INT; echo ready; while :; do sleep 0.1; done';
      expectOk(await run(['-d', '--name', box, '--stop-signal', 'SIGINT', 'busybox', 'sh', '-c', script]));
      await until(async () => (await docker(['logs', box])).stdout.includes('ready'));
      expectOk(await docker(['kill', '-s', 'USR1', box]));
      await until(async () => (await docker(['logs', box])).stdout.includes('usr1'));
      expectOk(await docker(['stop', box]));
      assert.equal(expectOk(await docker(['wait', box])), '9');
      assert.match(expectOk(await docker(['logs', box])), /usr1\nbye$/);
      expectOk(await docker(['rm', box]));
    },
  },
  {
    title: 'create and start -ai connect input, output and exit code',
    area: 'life',
    covers: 'create -i, start -a -i',
    run: async ({ docker, name, isolation }) => {
      const box = name('start');
      const script = 'read x; echo "got $x"; exit 5';
      expectOk(
        await docker([
          'create',
          '-i',
          '--isolation',
          isolation,
          '--name',
          box,
          'busybox',
          'sh',
          '-c',
          script,
        ]),
      );
      const result = await docker(['start', '-a', '-i', box], { input: 'word\n' });
      assert.deepEqual([result.code, result.stdout], [5, 'got word\n'], result.stderr);
      expectOk(await docker(['rm', box]));
    },
  },
  {
    title: 'attach follows the output of a running workload to its end',
    area: 'life',
    covers: 'attach --no-stdin',
    vmOneClient: BOOTS,
    run: async ({ run, docker, name, folder }) => {
      const box = name('attach');
      const gate = ['-v', `${folder}:/gate`];
      const script = 'while [ ! -e /gate/open ]; do sleep 0.1; done; echo attached; exit 6';
      expectOk(await run(['-d', '--name', box, ...gate, 'busybox', 'sh', '-c', script]));
      const attached = docker(['attach', '--no-stdin', box]);
      // Docker says nothing of attaching: give the client the time of two other calls.
      await docker(['ps']);
      await docker(['exec', box, 'touch', '/gate/open']);
      const result = await attached;
      assert.deepEqual([result.code, result.stdout], [6, 'attached\n'], result.stderr);
      expectOk(await docker(['rm', box]));
    },
  },
  {
    title: 'pause stops the clock of a workload, rename and update change it while it runs',
    area: 'life',
    covers: 'pause, unpause, rename, update --restart',
    run: async ({ run, docker, name }) => {
      const box = name('pause');
      const other = name('renamed');
      expectOk(await run(['-d', '--name', box, '-m', '128m', 'busybox', 'sleep', '1000']));
      expectOk(await docker(['pause', box]));
      assert.match(
        expectOk(await docker(['ps', '--filter', 'status=paused', '--format', '{{.Names}} {{.Status}}'])),
        new RegExp(`${box} Up .* \\(Paused\\)`),
      );
      assert.equal((await docker(['exec', box, 'true'])).code, 1);
      expectOk(await docker(['unpause', box]));
      expectOk(await docker(['rename', box, other]));
      expectOk(await docker(['exec', other, 'true']));
      expectOk(await docker(['update', '--restart', 'on-failure:2', other]));
      assert.equal(
        expectOk(await docker(['inspect', '-f', '{{.HostConfig.RestartPolicy.Name}}', other])),
        'on-failure',
      );
      expectOk(await docker(['rm', '-f', other]));
    },
  },
  {
    title: 'update changes the memory limit of a running workload',
    area: 'life',
    covers: 'update --memory --memory-swap',
    vmOneClient: BOOTS,
    absent: { vm: 'a machine keeps the memory that it was booted with' },
    run: async ({ run, docker, name }) => {
      const box = name('update');
      expectOk(await run(['-d', '--name', box, '-m', '64m', 'busybox', 'sleep', '1000']));
      expectOk(await docker(['update', '--memory', '96m', '--memory-swap', '192m', box]));
      assert.equal(expectOk(await docker(['inspect', '-f', '{{.HostConfig.Memory}}', box])), '100663296');
      expectOk(await docker(['rm', '-f', box]));
    },
  },
  {
    title: 'disk limits are taken, and other limits change while it runs',
    area: 'life',
    covers: 'run --device-write-bps --device-read-iops, update --pids-limit --cpus',
    vmOneClient: BOOTS,
    run: async ({ run, docker, name }) => {
      const box = name('limits');
      const disk = await firstDisk();
      const limits = ['--device-write-bps', `${disk}:1mb`, '--device-read-iops', `${disk}:500`];
      expectOk(await run(['-d', '--name', box, ...limits, 'busybox', 'sleep', '1000']));
      expectOk(await docker(['update', '--pids-limit', '30', '--cpus', '0.5', box]));
      const { HostConfig } = JSON.parse(expectOk(await docker(['inspect', '-f', '{{json .}}', box])));
      assert.deepEqual(HostConfig.BlkioDeviceWriteBps, [{ Path: disk, Rate: 1 << 20 }]);
      assert.deepEqual(HostConfig.BlkioDeviceReadIOps, [{ Path: disk, Rate: 500 }]);
      assert.deepEqual([HostConfig.PidsLimit, HostConfig.NanoCpus], [30, 5e8]);
      expectOk(await docker(['rm', '-f', box]));
    },
  },
  {
    title: 'a restart policy starts a failed workload again, as often as it says',
    area: 'life',
    covers: 'run --restart on-failure:N',
    vmOneClient: BOOTS,
    run: async ({ run, docker, name }) => {
      const box = name('again');
      expectOk(
        await run([
          '-d',
          '--name',
          box,
          '--restart',
          'on-failure:1',
          'busybox',
          'sh',
          '-c',
          'echo x; exit 2',
        ]),
      );
      const isOver = async () =>
        expectOk(await docker(['inspect', '-f', '{{.RestartCount}} {{.State.Status}}', box])) === '1 exited';
      await until(isOver);
      assert.equal(expectOk(await docker(['logs', box])), 'x\nx');
      expectOk(await docker(['rm', box]));
    },
  },
  {
    title: 'a health check decides what ps says of a workload',
    area: 'life',
    covers: 'run --health-cmd --health-interval, ps --filter health',
    vmOneClient: BOOTS,
    run: async ({ run, docker, name }) => {
      const box = name('health');
      const health = ['--health-cmd', 'test -e /etc/passwd', '--health-interval', '500ms'];
      const since = String(Math.floor(Date.now() / 1000) - 1);
      expectOk(await run(['-d', '--name', box, ...health, 'busybox', 'sleep', '1000']));
      await until(async () => {
        const filters = ['--filter', `container=${box}`, '--filter', 'event=health_status'];
        return /health_status: healthy/.test(
          expectOk(await docker(['events', '--since', since, '--until', '0s', ...filters])),
        );
      });
      const listed = await docker(['ps', '--filter', 'health=healthy', '--format', '{{.Names}} {{.Status}}']);
      assert.match(expectOk(listed), new RegExp(`${box} Up .* \\(healthy\\)`));
      expectOk(await docker(['rm', '-f', box]));
    },
  },
];

/** Asks again until it is so; each question is a whole client call, which is pause enough. */
async function until(isSo: () => Promise<boolean>): Promise<void> {
  const deadline = Date.now() + 45_000;
  while (!(await isSo())) assert.ok(Date.now() < deadline, 'it did not come to be so within 45 s');
}
