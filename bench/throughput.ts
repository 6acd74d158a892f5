// How many short containers an engine runs in a second: 100 of them, 8 at a time, through the Docker Engine API.
// Usage: node bench/throughput.ts [containers] [at a time] [rounds]

import { stdout } from 'node:process';
import { Api } from './api.ts';
import { removeScratch, scratch, startBerth, startDocker } from './engines.ts';
import {
  heading,
  hostClass,
  interleave,
  median,
  promise,
  type Sample,
  table,
  type Variant,
} from './harness.ts';

const [CONTAINERS = 100, AT_A_TIME = 8, ROUNDS = 3] = process.argv.slice(2).map(Number);

/** Runs all containers and checks every exit code. */
async function runAll(api: Api): Promise<void> {
  let left = CONTAINERS;
  const worker = async (): Promise<void> => {
    while (left-- > 0) {
      const code = await api.runToExit(['sh', '-c', 'exit 3']);
      if (code !== 3) throw new Error(`exit code ${code} instead of 3`);
    }
  };
  await Promise.all(Array.from({ length: AT_A_TIME }, worker));
}

/** Milliseconds for all, and apart from that until the engine has also removed them all. */
function variant(name: string, api: Api): Variant {
  const run = async (): Promise<number> => {
    const start = performance.now();
    await runAll(api);
    const elapsed = performance.now() - start;
    while ((await api.containerCount()) > 0) await new Promise((resume) => setTimeout(resume, 50));
    return elapsed;
  };
  return { name, run };
}

const folder = scratch();
try {
  await using docker = await startDocker(folder);
  await using berth = await startBerth(folder);
  const [berthApi, dockerApi] = [new Api(berth.socket), new Api(docker.socket)];
  stdout.write(heading('Many containers', 'npm run bench -- throughput') + hostClass());
  stdout.write(
    `\n${CONTAINERS} containers, ${AT_A_TIME} at a time, request to exit code, network \`none\`:\n\n`,
  );
  const samples = await interleave([variant('Berth', berthApi), variant('Docker', dockerApi)], ROUNDS, 1);
  const rate = ({ timesMs }: Sample): number => (1000 * CONTAINERS) / median(timesMs);
  stdout.write(
    table(
      ['', 'containers a second', 'seconds for all', 'rounds'],
      samples.map((sample) => [
        sample.name,
        rate(sample).toFixed(1),
        (median(sample.timesMs) / 1000).toFixed(2),
        String(sample.timesMs.length),
      ]),
    ),
  );
  const [own, peer] = samples.map(rate);
  stdout.write(`\n${promise('at least 6 times Docker’s rate', (own ?? 0) / (peer ?? 1), 6, true)}`);
  berthApi.close();
  dockerApi.close();
} finally {
  removeScratch(folder);
}
