// The life of a daemon: lock, open, listen, say so, wait for the signal, close. Workloads outlive it.

import { join } from 'node:path';
import { BerthError, errorMessage, isBerthError } from '../core/index.ts';
import { closeInherited, lockFile, openStateRoot, run } from '../host/index.ts';
import { createServer } from './create.ts';
import { listen, parseHost, SYSTEMD_FD } from './listen.ts';
import type { Services } from './routes/index.ts';

export interface DaemonOptions {
  readonly root: string;
  readonly host: string;
  readonly version: string;
  /** systemd's socket for news of readiness. */
  readonly notifySocket: string | undefined;
}

const NEVER_MS = 2 ** 31 - 1;

type Log = (line: string) => void;
type Open = (log: Log) => Promise<Pick<Services, 'engine' | 'images' | 'compare' | 'config'>>;

/** Runs a daemon to its end and resolves to the exit status of the process. Says on stderr why it could not. */
export async function runDaemon(options: DaemonOptions, open: Open): Promise<number> {
  closeInherited(options.host === 'fd://' ? [SYSTEMD_FD] : []);
  // Children that may outlive us do not keep the process alive: until the server listens, this does.
  const alive = setInterval(() => {}, NEVER_MS);
  // The umask of the daemon's caller must not decide who may write to the daemon's files and its socket.
  process.umask(0o022);
  // The log's destination may be full or gone: the daemon must not end for that.
  for (const stream of [process.stdout, process.stderr]) stream.on('error', () => {});
  try {
    await serve(options, open);
    return 0;
  } catch (error) {
    log(
      `cannot run: ${isBerthError(error) ? error.message : ((error as Error).stack ?? errorMessage(error))}`,
    );
    return 1;
  } finally {
    clearInterval(alive);
  }
}

function log(line: string): void {
  process.stderr.write(`${new Date().toISOString()} berthd: ${line}\n`);
}

async function serve(options: DaemonOptions, open: Open): Promise<void> {
  const { root, version } = options;
  const ended = endSignal();
  const host = parseHost(options.host);
  await openStateRoot(root);
  await using _lock = await lockRoot(root);
  const services = await open(log);
  const server = createServer({ ...services, root, version, log });
  const listening = await listen(server, host).catch(async (error: unknown) => {
    await services.engine.close();
    throw error;
  });
  process.stdout.write(`berth ${version} listening on ${listening.address}, state in ${root}\n`);
  await notifyReady(options.notifySocket);
  log(`${await ended}: stops listening; workloads go on`);
  await listening.close();
  await services.engine.close();
}

async function lockRoot(root: string): Promise<AsyncDisposable> {
  try {
    return await lockFile(join(root, 'lock'));
  } catch (cause) {
    if (!isBerthError(cause, 'conflict')) throw cause;
    const remedy = 'stop it, or set BERTH_ROOT and BERTH_HOST for a second one';
    throw new BerthError('conflict', `another daemon holds ${root} (its file "lock"): ${remedy}`, { cause });
  }
}

/** Resolves with the first signal that ends the daemon; those that follow are ignored. */
function endSignal(): Promise<string> {
  return new Promise((resolve) => {
    for (const signal of ['SIGTERM', 'SIGINT'] as const) process.on(signal, () => resolve(signal));
    // The terminal that a daemon was started from may go.
    process.on('SIGHUP', () => {});
  });
}

/**
 * `berth serve`, which systemd started, stays the unit's main process: for the end of one that it did not start itself
 * systemd does not wait, and kills it beside SIGTERM.
 */
async function notifyReady(socket: string | undefined): Promise<void> {
  if (socket === undefined) return;
  try {
    await run('systemd-notify', ['--ready'], {
      env: { NOTIFY_SOCKET: socket, PATH: '/usr/bin:/bin' },
    });
  } catch (error) {
    log(`systemd cannot be told that the daemon is ready: ${errorMessage(error)}`);
  }
}
