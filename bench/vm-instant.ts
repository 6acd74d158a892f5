// How long a virtual machine takes from the command to its exit code, against a container of Docker's: as a copy of a
// template, and as one of those that wait.
// Usage: node bench/vm-instant.ts [rounds]

import { stdout } from 'node:process';
import { setTimeout as delay } from 'node:timers/promises';
import { Api } from './api.ts';
import { BERTH, removeScratch, scratch, startBerth, startDocker, succeed } from './engines.ts';
import { heading, hostClass, interleave, median, promise, timesTable, type Variant } from './harness.ts';

const ROUNDS = Number(process.argv[2] ?? 15);
const RUN = ['run', '--rm', '--network', 'none'];
const VM = ['--isolation', 'vm', '--boot'];
/** For the machine that is to wait for the next round; nobody starts that many in a row. */
const REFILL_MS = 1000;

const program = (name: string, file: string, args: readonly string[], env: NodeJS.ProcessEnv): Variant => ({
  name,
  run: async () => {
    await delay(REFILL_MS);
    const start = performance.now();
    await succeed(file, args, env);
    return performance.now() - start;
  },
});

const call = (name: string, api: Api, vm: { boot: string } | undefined): Variant => ({
  name,
  run: async () => {
    await delay(REFILL_MS);
    const start = performance.now();
    const more = vm && { Isolation: 'vm', Annotations: { 'berth.boot': vm.boot } };
    const code = await api.runToExit(['true'], more);
    if (code !== 0) throw new Error(`${name}: exit code ${code}`);
    return performance.now() - start;
  },
});

const folder = scratch();
try {
  await using docker = await startDocker(folder);
  await using berth = await startBerth(folder);
  const vm = (boot: string) => [...RUN, ...VM, boot, 'busybox', 'true'];
  await succeed(BERTH, vm('fork'), berth.env);
  await succeed(BERTH, vm('pool'), berth.env);
  stdout.write(heading('Start of a virtual machine', 'npm run bench -- vm-instant') + hostClass());
  stdout.write('\nFrom the command line to the exit code of `true`, network `none`, removed afterwards:\n\n');
  const commands = await interleave(
    [
      program('berth run, VM that waited', BERTH, vm('pool'), berth.env),
      program('berth run, VM forked', BERTH, vm('fork'), berth.env),
      program('docker run, a container', 'docker', [...RUN, 'busybox', 'true'], docker.env),
    ],
    ROUNDS,
  );
  stdout.write(timesTable(commands, 'docker run, a container'));
  const api = new Api(berth.socket);
  stdout.write(
    '\nFrom the first request to the exit code, over the Docker Engine API (create, wait, start):\n\n',
  );
  const calls = await interleave(
    [call('VM that waited', api, { boot: 'pool' }), call('VM forked', api, { boot: 'fork' })],
    ROUNDS,
  );
  stdout.write(`${timesTable(calls, 'VM forked')}\n`);
  api.close();
  const of = (name: string) => median(commands.find((sample) => sample.name === name)?.timesMs ?? []);
  const docker1 = of('docker run, a container');
  stdout.write(
    promise(
      'a VM that waited: at most 0.4 of `docker run`',
      of('berth run, VM that waited') / docker1,
      0.4,
      false,
    ),
  );
  stdout.write(
    promise('a VM forked: at most 1.0 of `docker run`', of('berth run, VM forked') / docker1, 1, false),
  );
} finally {
  removeScratch(folder);
}
