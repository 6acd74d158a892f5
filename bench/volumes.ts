// Input and output on volumes: Berth's in a container against Docker's bind mount, and each transport into a virtual
// machine. The jobs run in workloads that stay, and time themselves, so that no start or exec is in the figures.
// Usage: node bench/volumes.ts [rounds in containers] [in the machine]

import { execFileSync } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { stdout } from 'node:process';
import { BERTH, type Engine, removeScratch, scratch, startBerth, startDocker } from './engines.ts';
import { heading, hostClass, interleave, median, promise, quantile, table, type Variant } from './harness.ts';

const [ROUNDS = 15, VM_ROUNDS = 3] = process.argv.slice(2).map(Number);
const MIB = 192;
const FILES = 1000;

/** Each prints the hundredths of a second that it took. What it needs is there before the clock starts. */
const JOBS = {
  'sequential write': `busybox dd if=/dev/zero of=file bs=1M count=${MIB} conv=fsync`,
  'sequential read': 'busybox dd if=file of=/dev/null bs=1M',
  'small files': `busybox mkdir d; i=0; while [ $i -lt ${FILES} ]; do echo $i > d/$i; i=$((i+1)); done
    for f in d/*; do read x < $f; done; busybox rm -r d`,
} as const;
type Job = keyof typeof JOBS;

const clock = (job: string, times: number) => `
  now() { read up _ < /proc/uptime; up=\${up%.*}\${up#*.}; }
  now; begin=$up
  i_=0; while [ $i_ -lt ${times} ]; do { ${job}; } > /dev/null 2>&1; i_=$((i_+1)); done
  now; echo $((up - begin))`;

interface Place {
  readonly name: string;
  readonly exec: readonly string[];
  readonly env: NodeJS.ProcessEnv;
  readonly folder: string;
}

function variant(place: Place, job: Job, times: number): Variant {
  const [file = '', ...args] = place.exec;
  const script = `cd ${place.folder} && ${clock(JOBS[job], times)}`;
  const run = async (): Promise<number> =>
    (Number(execFileSync(file, [...args, 'sh', '-c', script], { env: place.env }).toString()) * 10) / times;
  return { name: place.name, run };
}

function start(engine: Engine, client: string, name: string, ...flags: string[]): readonly string[] {
  const common = ['run', '-d', '--network', 'none', '--name', name];
  execFileSync(client, [...common, ...flags, 'busybox', 'sleep', '100000'], { env: engine.env });
  return [client, 'exec', name];
}

/** A table of the places with ratios to the first, and those ratios: above 1 is quicker than it. */
async function compare(
  places: readonly Place[],
  times: number,
  rounds: number,
): Promise<Map<string, number>> {
  const ratios = new Map<string, number>();
  const rows: string[][] = [];
  for (const job of Object.keys(JOBS) as Job[]) {
    const samples = await interleave(
      places.map((place) => variant(place, job, times)),
      rounds,
      1,
    );
    const base = median(samples[0]?.timesMs ?? []);
    for (const { name, timesMs } of samples) {
      const ratio = base / median(timesMs);
      ratios.set(`${job}, ${name}`, ratio);
      const spread = `${Math.min(...timesMs).toFixed(0)}–${quantile(timesMs, 0.95).toFixed(0)}`;
      rows.push([job, name, median(timesMs).toFixed(0), spread, ratio.toFixed(2)]);
    }
  }
  stdout.write(table(['', 'on', 'median ms', 'min–p95 ms', `times ${places[0]?.name}`], rows));
  return ratios;
}

const folder = scratch();
try {
  await using docker = await startDocker(folder);
  await using berth = await startBerth(folder);
  stdout.write(heading('Volumes', 'npm run bench -- volumes') + hostClass());
  const shared = join(folder, 'bind');
  mkdirSync(shared);
  execFileSync(BERTH, ['volume', 'create', 'plain'], { env: berth.env });
  execFileSync(BERTH, ['volume', 'create', '-o', 'size=1G', 'sized'], { env: berth.env });
  const mounts = ['-v', 'plain:/plain', '-v', 'sized:/sized'];
  const own = start(berth, BERTH, 'container', ...mounts);
  const vm = start(berth, BERTH, 'vm', '--isolation', 'vm', ...mounts);
  const peer = start(docker, 'docker', 'peer', '-v', `${shared}:/bind`);
  const { env } = berth;
  stdout.write(
    `\nIn a container: ${MIB} MiB written and flushed, read again (from the host's memory), ${FILES} files made, read and removed:\n\n`,
  );
  const ratios = await compare(
    [
      { name: 'Docker, bind mount', exec: peer, env: docker.env, folder: '/bind' },
      { name: 'volume', exec: own, env, folder: '/plain' },
      { name: 'volume with a size limit', exec: own, env, folder: '/sized' },
    ],
    4,
    ROUNDS,
  );
  stdout.write('\nIn a virtual machine, the same jobs by each transport:\n\n');
  await compare(
    [
      { name: 'block (the writable layer)', exec: vm, env, folder: '/' },
      { name: 'virtiofs, volume', exec: vm, env, folder: '/plain' },
      { name: 'virtiofs, volume with a size limit', exec: vm, env, folder: '/sized' },
    ],
    1,
    VM_ROUNDS,
  );
  stdout.write('\n');
  for (const job of Object.keys(JOBS))
    stdout.write(
      promise(
        `${job} on a volume at least 0.95 of Docker’s bind mount`,
        ratios.get(`${job}, volume`) ?? 0,
        0.95,
        true,
      ),
    );
  for (const name of ['container', 'vm']) execFileSync(BERTH, ['rm', '-f', name], { env });
  execFileSync('docker', ['rm', '-f', 'peer'], { env: docker.env });
} finally {
  removeScratch(folder);
}
