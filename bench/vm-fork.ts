// Copies of running virtual machines: how long one stands still to be captured, how long a copy takes to run, what an idle
// one holds and spends. Beside them, how long QEMU alone takes to answer on its monitor on this host: no copy can be
// quicker.
// Usage: node bench/vm-fork.ts [rounds]

import { execFileSync } from 'node:child_process';
import { mkdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { stdout } from 'node:process';
import { setTimeout as delay } from 'node:timers/promises';
import type { Instance, Origin } from '../src/core/index.ts';
import { run } from '../src/host/index.ts';
import { openVmLab } from '../test/fixtures/vm.ts';
import { BERTH, removeScratch, scratch, startBerth, succeed } from './engines.ts';
import { heading, hostClass, interleave, median, promise, table, timesTable } from './harness.ts';

const ROUNDS = Number(process.argv[2] ?? 10);
const IDLE_SECONDS = 10;
const MONITOR = '{"execute":"qmp_capabilities"}{"execute":"quit"}';

/** Resolves to milliseconds. */
async function timed(work: () => Promise<unknown>): Promise<number> {
  const start = performance.now();
  await work();
  return performance.now() - start;
}

async function end(vm: Instance): Promise<void> {
  const exit = vm.wait();
  await vm.kill(9);
  await exit;
  await vm.remove();
}

/** Kilobytes, by name, of /proc/PID/smaps_rollup. */
async function held(pid: number): Promise<number> {
  const text = await readFile(`/proc/${pid}/smaps_rollup`, 'utf8');
  return Number(/^Pss: +(\d+)/m.exec(text)?.[1]) / 1024;
}

/** Ticks of processor time. */
async function spent(pid: number): Promise<number> {
  const fields = (await readFile(`/proc/${pid}/stat`, 'utf8')).split(') ')[1]?.split(' ') ?? [];
  return Number(fields[11]) + Number(fields[12]);
}

const pidOf = async (vm: Instance) => (await vm.state()).pid ?? 0;

await using lab = await openVmLab();
const { restore } = lab.driver;
if (restore === undefined) throw new Error('the driver restores nothing');
let folders = 0;
const capture = async (vm: Instance): Promise<Origin> => {
  const dir = join(lab.root, 'captured', `${++folders}`);
  await mkdir(dir, { recursive: true });
  if (vm.checkpointing === undefined) throw new Error('the machine cannot be captured');
  return vm.checkpointing.capture(dir);
};
const copy = async (origin: Origin) => restore.call(lab.driver, await lab.spec(['true']), origin);

const source = await lab.create(['sleep', '100000'], { annotations: { 'berth.boot': 'fork' } });
await source.start();
const pauses: number[] = [];
const samples = await interleave(
  [
    {
      name: 'QEMU alone, to its monitor',
      run: () =>
        timed(() =>
          run(
            'qemu-system-x86_64',
            [
              '-nodefaults',
              '-display',
              'none',
              '-accel',
              'tcg',
              '-M',
              'q35',
              '-cpu',
              'max',
              '-m',
              '256',
              '-S',
              '-qmp',
              'stdio',
            ],
            { input: MONITOR },
          ),
        ),
    },
    {
      name: 'a copy restored, to its agent’s answer',
      run: async () => {
        await using origin = await capture(source);
        pauses.push(origin.pauseMs ?? Number.NaN);
        const vm = await copy(origin);
        const elapsed = await timed(() => vm.start());
        await end(vm);
        return elapsed;
      },
    },
    {
      name: 'ten copies at once, to the last one’s answer',
      run: async () => {
        await using origin = await capture(source);
        pauses.push(origin.pauseMs ?? Number.NaN);
        const vms = await Promise.all(Array.from({ length: 10 }, () => copy(origin)));
        const elapsed = await timed(() => Promise.all(vms.map((vm) => vm.start())));
        await Promise.all(vms.map(end));
        return elapsed;
      },
    },
  ],
  ROUNDS,
);
stdout.write(heading('Copies of running virtual machines', 'npm run bench -- vm-fork') + hostClass());
stdout.write('\nMachines of 256 MiB and 1 CPU, emulated (TCG):\n\n');
stdout.write(timesTable(samples, 'QEMU alone, to its monitor'));
const of = (name: string) => median(samples.find((sample) => sample.name.startsWith(name))?.timesMs ?? []);

await using origin = await capture(source);
const idle = await Promise.all([0, 1, 2, 3, 4].map(() => copy(origin)));
await Promise.all(idle.map((vm) => vm.start()));
await delay(2000);
const pids = await Promise.all(idle.map(pidOf));
const memory = median(await Promise.all(pids.map(held)));
const before = await Promise.all(pids.map(spent));
await delay(IDLE_SECONDS * 1000);
const after = await Promise.all(pids.map(spent));
const hertz = Number(execFileSync('getconf', ['CLK_TCK'], { encoding: 'utf8' }));
const share = median(after.map((ticks, n) => (100 * (ticks - (before[n] ?? 0))) / hertz / IDLE_SECONDS));
await Promise.all(idle.map(end));
await end(source);

const work = scratch();
const cold: number[] = [];
const forks: number[] = [];
try {
  await using berth = await startBerth(work);
  await succeed(
    BERTH,
    ['run', '-d', '--name', 'source', '--isolation', 'vm', 'busybox', 'sleep', '100000'],
    berth.env,
  );
  await delay(8000);
  for (let round = 0; round < 5; round++) {
    forks.push(
      await timed(() => succeed(BERTH, ['fork', '-n', '10', '--name', `copy${round}`, 'source'], berth.env)),
    );
    const names = Array.from({ length: 10 }, (_, n) => `copy${round}-${n + 1}`);
    await succeed(BERTH, ['rm', '-f', ...names], berth.env);
  }
  for (let n = 0; n < 3; n++) await succeed(BERTH, ['checkpoint', 'create', 'source'], berth.env);
  const list = ['checkpoint', 'ls', '--format', '{{.Pause}}'];
  const text = execFileSync(BERTH, list, { env: berth.env, encoding: 'utf8' });
  cold.push(...text.trim().split('\n').map(Number.parseFloat));
  await succeed(BERTH, ['rm', '-f', 'source'], berth.env);
} finally {
  removeScratch(work);
}
stdout.write('\n');
stdout.write(
  table(
    ['', 'median', 'runs'],
    [
      ['a forked machine stands still to be captured, ms', median(pauses).toFixed(0), String(pauses.length)],
      ['one that booted stands still to be captured, ms', median(cold).toFixed(0), String(cold.length)],
      [
        '`berth fork -n 10`, command line to all ten running, ms',
        median(forks).toFixed(0),
        String(forks.length),
      ],
      ['an idle copy holds with five alive (PSS), MiB', memory.toFixed(1), '5'],
      ['an idle copy spends, % of a core', share.toFixed(2), '5'],
    ],
  ),
);
stdout.write('\n');
stdout.write(promise('a copy restored answers within 110 ms', of('a copy restored'), 110, false));
stdout.write(
  promise('ten at once answer within ten times that', of('ten copies') / of('a copy restored'), 10, false),
);
stdout.write(promise('a pause of at most 150 ms', Math.max(median(pauses), median(cold)), 150, false));
stdout.write(promise('ten copies run in under 3 s', median(forks), 3000, false));
stdout.write(promise('an idle copy holds at most 50 MB', memory * 1.048576, 50, false));
stdout.write(promise('an idle copy spends at most 1 % of a core', share, 1, false));
