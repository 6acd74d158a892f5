// What the daemon costs when nothing happens: memory and processor time, fresh and after some work.
// Usage: node bench/daemon.ts [idle seconds] [runs]

import { readFileSync } from 'node:fs';
import { stdout } from 'node:process';
import { Api } from './api.ts';
import { removeScratch, scratch, startBerth } from './engines.ts';
import { heading, hostClass, promise, table } from './harness.ts';

const [IDLE_SECONDS = 20, RUNS = 50] = process.argv.slice(2).map(Number);
const TICKS_PER_SECOND = 100;

interface Cost {
  readonly residentMiB: number;
  readonly proportionalMiB: number;
  readonly cpuMs: number;
  readonly switches: number;
}

/** CPU time and voluntary context switches are sums since the process began. */
function costOf(pid: number): Cost {
  const field = (text: string, name: string): number =>
    Number(new RegExp(`${name}:\\s+(\\d+)`).exec(text)?.[1]);
  const status = readFileSync(`/proc/${pid}/status`, 'utf8');
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
    .replace(/^.*\) /, '')
    .split(' ');
  return {
    residentMiB: field(status, 'VmRSS') / 1024,
    proportionalMiB: field(readFileSync(`/proc/${pid}/smaps_rollup`, 'utf8'), 'Pss') / 1024,
    cpuMs: ((Number(stat[11]) + Number(stat[12])) * 1000) / TICKS_PER_SECOND,
    switches: field(status, '\\nvoluntary_ctxt_switches'),
  };
}

interface IdleCost extends Cost {
  readonly name: string;
}

/** Memory at the end of a quiet time, and what was spent during it. */
async function idle(name: string, pid: number): Promise<IdleCost> {
  const settle = (seconds: number): Promise<void> =>
    new Promise((resume) => setTimeout(resume, seconds * 1000));
  await settle(3);
  const before = costOf(pid);
  await settle(IDLE_SECONDS);
  const after = costOf(pid);
  return { ...after, name, cpuMs: after.cpuMs - before.cpuMs, switches: after.switches - before.switches };
}

const folder = scratch();
try {
  await using berth = await startBerth(folder);
  const api = new Api(berth.socket);
  stdout.write(heading('The idle daemon', 'npm run bench -- daemon') + hostClass());
  const rows = [await idle('fresh', berth.pid)];
  for (let run = 0; run < RUNS; run++) await api.runToExit(['true']);
  api.close();
  rows.push(await idle(`after ${RUNS} containers`, berth.pid));
  stdout.write(`\nOver ${IDLE_SECONDS} seconds without a request:\n\n`);
  const head = ['daemon', 'resident MiB', 'proportional (PSS) MiB', 'CPU ms spent', 'times woken'];
  const cells = (row: IdleCost): string[] => [
    row.name,
    row.residentMiB.toFixed(0),
    row.proportionalMiB.toFixed(0),
    row.cpuMs.toFixed(0),
    String(row.switches),
  ];
  stdout.write(`${table(head, rows.map(cells))}\n`);
  stdout.write(
    promise(
      'at most 120 MB resident',
      Math.max(...rows.map((row) => row.residentMiB * 1.048576)),
      120,
      false,
    ),
  );
  stdout.write(
    promise(
      'no CPU time when idle (ms in the quiet time)',
      Math.max(...rows.map((row) => row.cpuMs)),
      10,
      false,
    ),
  );
} finally {
  removeScratch(folder);
}
