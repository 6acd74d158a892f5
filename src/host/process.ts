// The only door to other programs. Arguments are always a list: no shell ever parses them.

import { type ChildProcess, spawn } from 'node:child_process';
import type { Socket } from 'node:net';
import type { Readable, Writable } from 'node:stream';
import { BerthError } from '../core/index.ts';
import { missingInScript, programError } from './programs.ts';

/** Output of `run` beyond this is an error: whatever may be larger belongs to `spawnStream`. */
const MAX_OUTPUT_BYTES = 64 << 20;

export interface RunOptions {
  readonly input?: string | Uint8Array;
  /** Replaces the environment; absent: PATH and LANG only, so that results do not depend on who started the daemon. */
  readonly env?: Readonly<Record<string, string>>;
  readonly cwd?: string;
  readonly signal?: AbortSignal;
  readonly timeoutMs?: number;
}

export interface RunResult {
  readonly stdout: string;
  readonly stderr: string;
}

const BASE_ENV = { PATH: '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin', LANG: 'C.UTF-8' };

/** How a child process ended. */
export interface ChildExit {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

/**
 * Runs a program to its end. Fails with `not-found`, naming its package, when it does not exist, `timeout`, `cancelled`, or `internal`
 * naming the command, its exit status and the last of its stderr.
 */
export async function run(
  file: string,
  args: readonly string[],
  options: RunOptions = {},
): Promise<RunResult> {
  const { stdout, stderr } = await runToEnd(file, args, options);
  return { stdout: stdout.toString(), stderr: stderr.toString() };
}

/** As `run`, for a program that prints bytes. */
export async function runBytes(
  file: string,
  args: readonly string[],
  options: RunOptions = {},
): Promise<Buffer> {
  return (await runToEnd(file, args, options)).stdout;
}

async function runToEnd(
  file: string,
  args: readonly string[],
  options: RunOptions,
): Promise<{ readonly stdout: Buffer; readonly stderr: Buffer }> {
  const child = spawnStream(file, args, options);
  const stdout = collect(child.stdout);
  const stderr = collect(child.stderr);
  child.stdin.on('error', () => {});
  child.stdin.end(options.input ?? '');
  let late = false;
  const killLate = () => {
    late = true;
    child.kill('SIGKILL');
  };
  const timer = options.timeoutMs === undefined ? undefined : setTimeout(killLate, options.timeoutMs);
  try {
    // A program of which nobody reads the rest is ended, as it might never end by itself.
    for (const output of [stdout, stderr]) output.catch(() => child.kill('SIGKILL'));
    const [exit, out, err] = await Promise.all([child.exit, stdout, stderr]);
    if (exit.code === 0) return { stdout: out, stderr: err };
    const text = err.toString().trim() || out.toString().trim();
    throw failure(file, args, exit, text, late, options.signal);
  } finally {
    clearTimeout(timer);
  }
}

function failure(
  file: string,
  args: readonly string[],
  exit: ChildExit,
  text: string,
  late: boolean,
  signal: AbortSignal | undefined,
): BerthError {
  const command = [file, ...args].join(' ').slice(0, 300);
  if (signal?.aborted) return new BerthError('cancelled', `${command}: cancelled`);
  if (late) return new BerthError('timeout', `${command}: did not end in time and was killed`);
  const missing = missingInScript(exit.code, text);
  if (missing !== undefined) return programError(missing, new Error(`${command}: ${text.slice(-2000)}`));
  const how = exit.signal === null ? `exit status ${exit.code}` : `killed by ${exit.signal}`;
  return new BerthError('internal', `${command}: ${how}${text === '' ? '' : `: ${text.slice(-2000)}`}`);
}

async function collect(stream: Readable): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let total = 0;
  for await (const chunk of stream as AsyncIterable<Buffer>) {
    total += chunk.length;
    if (total > MAX_OUTPUT_BYTES)
      throw new BerthError('exhausted', `output exceeds ${MAX_OUTPUT_BYTES} bytes`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

export interface StreamChild {
  readonly pid: number;
  readonly stdin: Writable;
  readonly stdout: Readable;
  readonly stderr: Readable;
  /** Rejects with `not-found`/`internal` when the program could not be executed, and never otherwise. */
  readonly exit: Promise<ChildExit>;
  kill(signal?: NodeJS.Signals): void;
  /** From now on it does not keep this process alive. */
  unref(): void;
}

/** Starts a program with pipes. The caller must read stdout and stderr, or the program may block. */
export function spawnStream(
  file: string,
  args: readonly string[],
  options: Omit<RunOptions, 'input' | 'timeoutMs'> = {},
): StreamChild {
  const child = spawn(file, args, {
    stdio: ['pipe', 'pipe', 'pipe'],
    env: options.env ?? BASE_ENV,
    ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
  });
  const exit = ended(child, file);
  const abort = () => child.kill('SIGKILL');
  if (options.signal?.aborted) abort();
  options.signal?.addEventListener('abort', abort, { once: true });
  const release = () => options.signal?.removeEventListener('abort', abort);
  exit.then(release, release);
  return {
    pid: child.pid ?? 0,
    stdin: child.stdin,
    stdout: child.stdout,
    stderr: child.stderr,
    exit,
    kill: (signal = 'SIGTERM') => void child.kill(signal),
    unref: () => {
      child.unref();
      for (const stream of [child.stdin, child.stdout, child.stderr]) (stream as unknown as Socket).unref();
    },
  };
}

function ended(child: ChildProcess, file: string): Promise<ChildExit> {
  return new Promise((resolve, reject) => {
    child.once('error', (cause: NodeJS.ErrnoException) => {
      if (child.pid !== undefined) return;
      if (cause.code === 'ENOENT') reject(programError(file, cause));
      else reject(new BerthError('internal', `cannot execute ${file}: ${cause.message}`, { cause }));
    });
    child.once('close', (code, signal) => resolve({ code, signal }));
  });
}

export interface DetachedOptions {
  readonly env?: Readonly<Record<string, string>>;
  readonly cwd?: string;
  /** Standard input, output and error; default: /dev/null. A number is a file descriptor to pass on. */
  readonly stdio?: readonly ['ignore' | number, 'ignore' | number, 'ignore' | number];
  /**
   * What the child gets as file descriptors 3, 4, …: 'socket' is one end of a Unix stream socket pair whose other end
   * is returned in `sockets`; a number is an open descriptor of ours.
   */
  readonly extra?: readonly ('socket' | number)[];
  /** Keep this process alive until the child has ended: for callers that wait for `exit`. */
  readonly keepAlive?: boolean;
}

export interface DetachedChild {
  readonly pid: number;
  /** Our ends of the 'socket' entries, in their order. */
  readonly sockets: readonly Socket[];
  /** Rejects when the program could not be executed. */
  readonly exit: Promise<ChildExit>;
}

/** Starts a program in its own session that may outlive this process; it does not keep this process alive. */
export function spawnDetached(
  file: string,
  args: readonly string[],
  options: DetachedOptions = {},
): DetachedChild {
  const extra = options.extra ?? [];
  const child = spawn(file, args, {
    detached: true,
    stdio: [
      ...(options.stdio ?? (['ignore', 'ignore', 'ignore'] as const)),
      ...extra.map((entry) => (entry === 'socket' ? 'pipe' : entry)),
    ],
    env: options.env ?? BASE_ENV,
    ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
  });
  const exit = ended(child, file);
  // Whoever does not care about the end must not be ended by it.
  exit.catch(() => {});
  if (!options.keepAlive) child.unref();
  const sockets = child.stdio.slice(3).filter((entry) => entry !== null && entry !== undefined);
  return { pid: child.pid ?? 0, sockets: sockets as unknown as Socket[], exit };
}
