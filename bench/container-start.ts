// How long a container takes from the command to its exit code, against the peers installed on this host.
// Usage: node bench/container-start.ts [rounds]

import { stdout } from 'node:process';
import { Api } from './api.ts';
import {
  BERTH,
  prepareCrun,
  preparePodman,
  removeScratch,
  scratch,
  startBerth,
  startDocker,
  succeed,
} from './engines.ts';
import {
  heading,
  hostClass,
  interleave,
  median,
  promise,
  type Sample,
  timesTable,
  type Variant,
} from './harness.ts';

const ROUNDS = Number(process.argv[2] ?? 20);
const RUN = ['run', '--rm', '--network', 'none'];

const program = (name: string, file: string, args: readonly string[], env?: NodeJS.ProcessEnv): Variant => ({
  name,
  run: async () => void (await succeed(file, args, env)),
});

const call = (name: string, api: Api): Variant => ({
  name,
  run: async () => {
    const code = await api.runToExit(['true']);
    if (code !== 0) throw new Error(`${name}: exit code ${code}`);
    return undefined;
  },
});

const ratio = (samples: readonly Sample[], of: string, to: string): number => {
  const middle = (name: string): number =>
    median(samples.find((sample) => sample.name === name)?.timesMs ?? []);
  return middle(of) / middle(to);
};

const folder = scratch();
try {
  await using docker = await startDocker(folder);
  await using berth = await startBerth(folder);
  const podman = await preparePodman(folder);
  using crun = prepareCrun(folder);
  const [nsenterOrCrun = 'crun', ...crunArgs] = crun.command;

  stdout.write(heading('Start of a container', 'npm run bench -- container-start') + hostClass());
  stdout.write('\nFrom the command line to the exit code of `true`, network `none`, removed afterwards:\n\n');
  const commands = await interleave(
    [
      program('berth run', BERTH, [...RUN, 'busybox', 'true'], berth.env),
      program('docker run', 'docker', [...RUN, 'busybox', 'true'], docker.env),
      program('podman run', 'podman', [...podman.global, ...RUN, ...podman.run, 'busybox', 'true']),
      program('crun run, bare bundle', nsenterOrCrun, crunArgs),
    ],
    ROUNDS,
  );
  stdout.write(timesTable(commands, 'docker run'));

  stdout.write(
    '\nFrom the first request to the exit code, over the Docker Engine API (create, wait, start):\n\n',
  );
  const [berthApi, dockerApi] = [new Api(berth.socket), new Api(docker.socket)];
  const calls = await interleave([call('Berth', berthApi), call('Docker', dockerApi)], ROUNDS);
  stdout.write(`${timesTable(calls, 'Docker')}\n`);
  stdout.write(
    promise(
      '`berth run` takes at most 1/4 of `docker run`',
      ratio(commands, 'berth run', 'docker run'),
      1 / 4,
      false,
    ),
  );
  stdout.write(
    promise(
      'a container through the API takes at most 1/6 of Docker’s time',
      ratio(calls, 'Berth', 'Docker'),
      1 / 6,
      false,
    ),
  );
  berthApi.close();
  dockerApi.close();
} finally {
  removeScratch(folder);
}
