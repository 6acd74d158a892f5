// What is asked of a running guest: one more process, figures, the process list.

import {
  BerthError,
  type ExecProcess,
  type InstanceSpec,
  type InstanceStats,
  isBerthError,
  type ProcessSpec,
  type ProcessTable,
  type TerminalSize,
} from '../../core/index.ts';
import { FRAME } from '../../formats/frames.ts';
import { visibleText } from '../../formats/visible.ts';
import { ANSWER_LIMIT_MS, type Fields, failure, field, type ShimClient } from '../../guest/index.ts';
import { readCgroupStats, toPressures, within } from '../../host/index.ts';
import { memoryBytes, processFields } from './config.ts';

/** The guest's refusal to execute a command, in Docker's words: they are what clients look for. */
export function launchError(action: 'create' | 'exec', error: unknown): unknown {
  if (!(error instanceof BerthError) || error.exitStatus === undefined) return error;
  const prefix = action === 'create' ? 'OCI runtime create failed' : 'OCI runtime exec failed: exec failed';
  const message = `${prefix}: unable to start container process: ${error.message}: unknown`;
  return new BerthError(error.code, message, { cause: error, exitStatus: error.exitStatus });
}

export async function runExec(
  client: ShimClient,
  process: ProcessSpec,
  size?: TerminalSize,
): Promise<ExecProcess> {
  const fields = { ...processFields(process), rows: size?.rows, columns: size?.columns };
  try {
    const { io, opened } = await client.exec(fields, process.tty);
    return {
      pid: Number(field(opened, 'pid') ?? 0),
      output: io.output,
      input: io.input,
      exit: io.exit,
      resize: (to) => io.resize(to),
      kill: async (signal) => io.signal(signal),
      close: () => io.close(),
    };
  } catch (error) {
    throw launchError('exec', error);
  }
}

/** A guest that hangs must not hold up its pause. */
const REMEMBER_MS = 300;
/** Nor the figures of all the others. */
const STATS_LIMIT_MS = 3_000;

/** Memory, processes and disk as the guest counts them for its workload; CPU as the host pays for it, emulation included. */
export class GuestFigures {
  /** Of a paused guest, which cannot answer: nothing of it changes. Of use while it is paused only. */
  #last: Fields | undefined;

  /** Before a pause. */
  async remember(client: ShimClient): Promise<void> {
    this.#last = await client.ask('stats', {}, { limitMs: REMEMBER_MS }).catch(() => undefined);
  }

  async read(client: ShimClient, spec: InstanceSpec, paused: boolean): Promise<InstanceStats> {
    const host = readCgroupStats(spec.cgroupPath);
    try {
      const guest =
        (paused ? this.#last : undefined) ?? (await client.ask('stats', {}, { limitMs: STATS_LIMIT_MS }));
      return merge(guest, await host, memoryBytes(spec));
    } catch (error) {
      // The guest was paused under another daemon, or hangs; the host still has figures of its own.
      if (isBerthError(error, 'conflict') || isBerthError(error, 'timeout')) return host;
      throw error;
    }
  }
}

function merge(guest: Fields, host: InstanceStats, limitBytes: number): InstanceStats {
  const number = (key: string) => figure(field(guest, key) ?? '0');
  const measured = <K extends string>(name: K, key: string) =>
    (number(key) < 0 || field(guest, key) === undefined ? {} : { [name]: number(key) }) as {
      [P in K]?: number;
    };
  const detail = [...guest.keys()]
    .filter((key) => key.startsWith('memory.'))
    .map((key) => [key.slice('memory.'.length), number(key)] as const);
  const pressure = toPressures((name) => field(guest, `pressure_${name}`));
  return {
    readAt: host.readAt,
    memory: {
      usageBytes: number('memory_usage'),
      limitBytes,
      // What can be given back at once, as for a container.
      cacheBytes: Math.max(0, number('memory.inactive_file')),
      ...measured('swapBytes', 'memory_swap'),
      ...measured('peakBytes', 'memory_peak'),
      ...measured('oomKills', 'memory_oom_kills'),
      detail: Object.fromEntries(detail),
    },
    cpu: host.cpu,
    pids: { current: number('pids'), ...measured('limit', 'pids_limit') },
    block: {
      readBytes: number('block_read'),
      writeBytes: number('block_write'),
      ...measured('readOperations', 'block_reads'),
      ...measured('writeOperations', 'block_writes'),
    },
    ...(pressure === undefined ? {} : { pressure }),
  };
}

/** The guest's own word: no number counts as none at all. */
function figure(text: string): number {
  return /^-?\d{1,19}$/.test(text) ? Number(text) : 0;
}

const TITLES = ['UID', 'PID', 'PPID', 'C', 'STIME', 'TTY', 'TIME', 'CMD'];

/** The workload's processes as `ps -ef` shows them inside. */
export async function readProcesses(client: ShimClient, psArgs: readonly string[]): Promise<ProcessTable> {
  const asked = psArgs.join(' ');
  if (!['', '-ef', 'ef', '-e -f', 'aux', '-aux'].includes(asked))
    throw new BerthError('unsupported', `isolation vm: top knows only the columns of ps -ef, not "${asked}"`);
  const connection = await client.connect();
  const chunks: Buffer[] = [];
  try {
    await connection.request('processes');
    const listed = new Promise<void>((resolve, reject) => {
      void connection.closed.then(() => reject(new BerthError('unavailable', 'the VM ended meanwhile')));
      connection.receive((frame) => {
        if (frame.type === FRAME.stdout) chunks.push(Buffer.from(frame.payload));
        if (frame.type === FRAME.exit) resolve();
        if (frame.type === FRAME.fail) reject(failure(frame.payload));
        return true;
      });
    });
    await within(listed, { limitMs: ANSWER_LIMIT_MS }, 'the guest, asked for its processes,');
  } finally {
    connection.close();
  }
  return { titles: TITLES, rows: parseProcesses(Buffer.concat(chunks).toString()) };
}

/** Lines of `pid ppid uid stime tty time cmd`. */
export function parseProcesses(text: string): string[][] {
  return text
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => {
      const [pid = '', parent = '', uid = '', since = '', tty = '', time = '', ...command] = line.split(' ');
      return [uid, pid, parent, '0', since, tty, time, command.join(' ')].map(visibleText);
    });
}
