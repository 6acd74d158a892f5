// Starting the daemon: on demand and detached, or in the foreground for `berth serve`.

import {
  closeSync,
  existsSync,
  mkdirSync,
  openSync,
  readFileSync,
  realpathSync,
  statSync,
  watch,
} from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { CliError } from './errors.ts';
import { type ConnectConfig, systemCode } from './platform.ts';

const DEFAULT_ROOT = '/var/lib/berth';
/** A daemon that adopts many workloads on a slow host may take long; a stuck one should still be reported. */
const START_LIMIT_MS = 60_000;
/** For a daemon that someone else is just starting; one that listens elsewhere will never come here. */
const OTHERS_LIMIT_MS = 15_000;
const LOG_LINES_SHOWN = 15;
const DAEMON_PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';

interface DaemonCommand {
  readonly file: string;
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string>>;
}

/**
 * Starts the daemon and resolves when `connect` succeeds. When another process is just starting one, its daemon holds
 * the lock and ours ends at once: then that one is waited for. No polling: the socket's folder is watched.
 */
export async function startDaemon(
  config: ConnectConfig,
  socketPath: string,
  connect: () => Promise<void>,
): Promise<void> {
  const root = config.platform.env['BERTH_ROOT'] ?? DEFAULT_ROOT;
  const logPath = join(root, 'daemon.log');
  prepareFolders(root, dirname(socketPath));
  const command = daemonCommand(config);
  const logFrom = existsSync(logPath) ? statSync(logPath).size : 0;
  using arrivals = watchFor(socketPath);
  const logFd = openSync(logPath, 'a', 0o640);
  const env = { ...daemonEnvironment(command.env), BERTH_ON_DEMAND: '1' };
  const { exit } = await config.platform
    .startDetached({ ...command, env, logFd })
    .finally(() => closeSync(logFd));
  let ended: string | undefined;
  let waitsForOther = false;
  const end = exit.then((how) => {
    ended = how;
  });
  let deadline = deadlineAfter(START_LIMIT_MS);
  try {
    for (;;) {
      const moved = arrivals.next();
      if (await connected(connect)) return;
      // Ours is gone: either it failed, or it gave way to another one's, whose socket will come or is already there.
      if (ended !== undefined && !gaveWay(logPath, logFrom)) break;
      const late = await Promise.race([
        moved.then(() => false),
        deadline.passed.then(() => true),
        ...(ended === undefined ? [end.then(() => false)] : []),
      ]);
      if (late) break;
      if (ended === undefined || waitsForOther) continue;
      waitsForOther = true;
      deadline.cancel();
      deadline = deadlineAfter(OTHERS_LIMIT_MS);
    }
  } finally {
    deadline.cancel();
  }
  const how =
    ended === undefined ? `did not listen on ${socketPath} within ${START_LIMIT_MS / 1000} s` : ended;
  throw new CliError(
    `berth: the daemon ${how}.\n${logTail(logPath, logFrom)}The whole log is ${logPath}`,
    125,
  );
}

/** Runs the daemon in the foreground. */
export function serve(config: ConnectConfig, args: readonly string[]): Promise<number> {
  const command = daemonCommand(config);
  return config.platform.runForeground(command.file, [...command.args, ...args], command.env);
}

/** The root is for nobody else from its first moment on. */
function prepareFolders(root: string, socketFolder: string): void {
  for (const folder of [dirname(root), root, socketFolder]) {
    try {
      mkdirSync(folder, { recursive: true, mode: folder === root ? 0o700 : 0o755 });
    } catch (cause) {
      const reason = (cause as Error).message;
      throw new CliError(
        `berth: cannot start the daemon: ${reason}\nStart it as root ('sudo berth …'), or set BERTH_ROOT and BERTH_HOST.`,
        125,
        { cause },
      );
    }
  }
}

async function connected(connect: () => Promise<void>): Promise<boolean> {
  try {
    await connect();
    return true;
  } catch (error) {
    const code = systemCode(error);
    if (code === 'ENOENT' || code === 'ECONNREFUSED') return false;
    throw error;
  }
}

/** Each `next()` resolves at the next change of the path. */
function watchFor(path: string): { next(): Promise<void> } & Disposable {
  const name = basename(path);
  let wake: (() => void) | undefined;
  const watcher = watch(dirname(path), (_, changed) => {
    if (changed === null || changed === name) wake?.();
  });
  return {
    next: () =>
      new Promise((resolve) => {
        wake = resolve;
      }),
    [Symbol.dispose]: () => watcher.close(),
  };
}

function deadlineAfter(ms: number): { readonly passed: Promise<void>; cancel(): void } {
  let timer: NodeJS.Timeout | undefined;
  const passed = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, ms);
  });
  return { passed, cancel: () => clearTimeout(timer) };
}

function logSince(path: string, from: number): string {
  try {
    return readFileSync(path).subarray(from).toString();
  } catch {
    return '';
  }
}

/** Whether our daemon ended because another one holds the root. */
function gaveWay(logPath: string, from: number): boolean {
  return /another daemon holds/.test(logSince(logPath, from));
}

function logTail(logPath: string, from: number): string {
  const lines = logSince(logPath, from).trimEnd().split('\n').slice(-LOG_LINES_SHOWN);
  return lines.join('') === '' ? '' : `Its last words:\n${lines.map((line) => `  ${line}`).join('\n')}\n`;
}

function daemonCommand(config: ConnectConfig): DaemonCommand {
  const { env, programPath } = config.platform;
  const here = dirname(realpathSync(programPath));
  const daemon =
    env['BERTH_DAEMON'] ?? firstThatExists([join(here, 'berthd.ts'), join(here, '../berthd.mjs')]);
  if (daemon === undefined) {
    throw new CliError(`berth: no daemon found near ${here}: run 'npm run build', or set BERTH_DAEMON.`, 125);
  }
  const node = env['BERTH_NODE'] ?? firstThatExists(nodeCandidates(here)) ?? 'node';
  const passed = Object.entries(env).filter((pair): pair is [string, string] => pair[1] !== undefined);
  const host = config.host === undefined ? {} : { BERTH_HOST: config.host };
  return { file: node, args: [daemon], env: { ...Object.fromEntries(passed), ...host } };
}

/** The environment of a daemon started on demand: of its caller's variables it gets those of Berth only. */
function daemonEnvironment(env: Readonly<Record<string, string>>): Record<string, string> {
  const own = Object.entries(env).filter(([name]) => name.startsWith('BERTH_'));
  return { PATH: DAEMON_PATH, LANG: 'C.UTF-8', ...Object.fromEntries(own) };
}

function firstThatExists(paths: readonly string[]): string | undefined {
  return paths.find((path) => existsSync(path));
}

/** The Node that npm installed beside us, in this folder or one above. */
function nodeCandidates(from: string): string[] {
  const candidates: string[] = [];
  const arch = process.arch === 'arm64' ? 'arm64' : 'x64';
  for (let folder = from; ; folder = dirname(folder)) {
    candidates.push(join(folder, `node_modules/node-linux-${arch}/bin/node`));
    if (dirname(folder) === folder) return candidates;
  }
}
