// What can be seen from inside, and what the inside looks like from the host.

import { randomBytes } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { errorMessage } from '../../core/index.ts';
import type { Engine } from '../../engine/api.ts';
import { spawnStream } from '../../host/process.ts';
import type { CompareColumn } from '../../wire/compare.ts';
import { formatBytes } from '../../wire/compare-units.ts';
import type { Book } from '../book.ts';
import type { Lab } from '../lab.ts';
import { decodeCapabilities } from './capabilities.ts';
import { processesOf } from './footprint.ts';
import type { HostBench } from './jobs.ts';
import { readStatus } from './processes.ts';

type Answers = ReadonlyMap<string, readonly string[]>;

/** Runs while a process of the host waits whose command line holds `token`. */
export async function withCanary<T>(benchPath: string, run: (token: string) => Promise<T>): Promise<T> {
  const token = `canary-${randomBytes(8).toString('hex')}`;
  const child = spawnStream(benchPath, ['idle', token]);
  child.stdout.resume();
  child.stderr.resume();
  try {
    return await run(token);
  } finally {
    child.kill('SIGKILL');
    await child.exit;
  }
}

/** Everything that one look around tells; `hostBootId` tells whose kernel answers. */
export function recordFacts(book: Book, column: CompareColumn, answers: Answers, hostBootId: string): void {
  const one = (key: string) => answers.get(key)?.[0] ?? '';
  const ownKernel = one('boot_id') !== hostBootId;
  const whose = column === 'host' ? '' : ownKernel ? ', its own' : ', the host’s';
  const own = column !== 'host' && ownKernel ? ', its own' : '';
  const boot = `${one('release')} ${one('version')}, boot ${one('boot_id')}`;
  book.fact('isolation.kernel', column, `${one('release')}${whose}`, {
    detail: boot,
    value: ownKernel ? 1 : 0,
  });
  const memory = formatBytes(Number(one('memory_kib')) * 1024);
  book.fact('resources.seen', column, `${one('cpus')} / ${memory}`);
  if (column !== 'host') book.fact('portability.runs', column, `linux on ${one('machine')}`);
  recordProcesses(book, column, Number(one('processes')), Number(one('token_seen')));
  recordDevices(book, column, answers.get('block') ?? [], ownKernel);
  book.fact('isolation.nodes', column, `${one('dev_nodes')} (${one('dev_blocks')} disks)`, {
    value: Number(one('dev_nodes')),
  });
  const capabilities = decodeCapabilities(one('self.CapEff'));
  book.fact('isolation.capabilities', column, `${capabilities.length} of 41`, {
    detail: capabilities.join(' ') || 'none',
    value: capabilities.length,
  });
  book.fact('isolation.new-privileges', column, one('self.NoNewPrivs') === '1' ? 'no' : 'yes');
  book.fact('isolation.sysctls', column, `${one('sysctls_writable')} of ${one('sysctls')}${own}`, {
    value: Number(one('sysctls_writable')),
  });
  book.fact('isolation.memory-file', column, `${REACH[one('kcore')] ?? one('kcore')}${own}`);
  book.fact('isolation.sysrq', column, `${REACH[one('sysrq')] ?? one('sysrq')}${own}`);
}

const REACH: Readonly<Record<string, string>> = {
  open: 'can be opened',
  absent: 'not there',
  masked: 'hidden',
  denied: 'denied',
  'read-only': 'read-only',
};

function recordProcesses(book: Book, column: CompareColumn, count: number, canaries: number): void {
  const host = canaries > 0 ? 'host’s seen' : 'none of the host';
  const text = column === 'host' ? String(count) : `${count}, ${host}`;
  const detail = canaries > 0 ? 'the process of the host was found' : 'the process of the host was not found';
  book.fact('isolation.processes', column, text, { detail, value: count });
}

/** A line is `name bytes answer`. */
function recordDevices(
  book: Book,
  column: CompareColumn,
  lines: readonly string[],
  ownKernel: boolean,
): void {
  const devices = lines.map((line) => line.split(' '));
  const opened = devices.filter(([, , answer]) => answer === 'opened');
  const whose = column === 'host' ? '' : ownKernel ? ', its own' : ', the host’s';
  const detail = devices
    .map(([name, bytes, answer]) => `${name} (${formatBytes(Number(bytes))}): ${answer}`)
    .join('; ');
  book.fact(
    'isolation.devices',
    column,
    `${devices.length} / ${opened.length}${devices.length > 0 ? whose : ''}`,
    {
      detail: detail || 'no disk is listed',
      value: opened.length,
    },
  );
}

/** How many system calls are admitted, and the names of the others. */
export function recordSyscalls(book: Book, row: string, column: CompareColumn, answers: Answers): void {
  const admitted = answers.get('admitted') ?? [];
  const denied = (answers.get('denied') ?? []).map((line) => line.split(' ')[0]);
  book.fact(row, column, `${admitted.length} of ${admitted.length + denied.length}`, {
    detail: denied.length === 0 ? 'none is denied' : `denied: ${denied.join(' ')}`,
    value: admitted.length,
  });
}

/** Looks around on the host or inside. */
export async function gatherInside(
  book: Book,
  place: Lab | HostBench,
  token: string,
  hostBootId: string,
): Promise<void> {
  const column: CompareColumn = 'isolation' in place ? place.isolation : 'host';
  try {
    recordFacts(book, column, (await place.bench(['facts', token])).answers, hostBootId);
    recordSyscalls(book, 'isolation.syscalls', column, (await place.bench(['syscalls'])).answers);
  } catch (error) {
    for (const row of [
      'kernel',
      'processes',
      'devices',
      'nodes',
      'capabilities',
      'syscalls',
      'new-privileges',
      'sysctls',
      'memory-file',
      'sysrq',
    ])
      book.unknown(`isolation.${row}`, column, errorMessage(error));
  }
}

/** Looks at the process that faces the host's kernel: the workload's own, or the VM's monitor. */
export async function gatherOutside(book: Book, engine: Engine, lab: Lab, host: HostBench): Promise<void> {
  const { main } = await processesOf(engine, lab);
  const status = await readStatus(main);
  const uid = status.get('Uid')?.split(/\s+/)[1] ?? '?';
  const capabilities = decodeCapabilities(status.get('CapEff') ?? '0');
  const filter = status.get('Seccomp') === '2' ? 'filtered' : 'no filter';
  const who = uid === '0' ? 'root' : `user ${uid}`;
  const what = lab.isolation === 'vm' ? 'monitor' : 'workload';
  book.fact('isolation.outside', lab.isolation, `${what}: ${who}, ${capabilities.length} caps, ${filter}`, {
    detail: `process ${main} (${status.get('Name')}): uid ${uid}, capabilities ${capabilities.join(' ') || 'none'}, seccomp mode ${status.get('Seccomp')}, NoNewPrivs ${status.get('NoNewPrivs')}`,
    value: capabilities.length,
  });
  try {
    recordSyscalls(
      book,
      'isolation.host-syscalls',
      lab.isolation,
      (await host.bench(['filters', String(main)])).answers,
    );
  } catch (error) {
    book.unknown('isolation.host-syscalls', lab.isolation, errorMessage(error));
  }
}

export async function readBootId(): Promise<string> {
  return (await readFile('/proc/sys/kernel/random/boot_id', 'utf8')).trim();
}
