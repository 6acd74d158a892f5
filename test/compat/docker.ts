// Runs a docker client against a daemon, as a user would.

import { spawn } from 'node:child_process';
import { text } from 'node:stream/consumers';

export interface Client {
  readonly name: string;
  readonly path: string;
}

/** Where the two clients may be; whichever is missing is reported as not run. */
export const CLIENTS: readonly Client[] = [
  { name: 'docker 28', path: '/usr/local/bin/docker' },
  { name: 'docker 20.10', path: '/usr/bin/docker' },
];

export interface Result {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

export interface RunOptions {
  readonly input?: string | Buffer;
  /** Gives the client a terminal of its own. */
  readonly terminal?: boolean;
  readonly timeoutMs?: number;
}

const TIMEOUT_MS = 60_000;

export type Docker = (args: readonly string[], options?: RunOptions) => Promise<Result>;

/** A docker command bound to a client and a daemon. Output lines end in line feeds only, also from a terminal. */
export function dockerAt(client: Client, host: string, configDir: string): Docker {
  return async (args, options = {}) => {
    const env = { PATH: process.env['PATH'], DOCKER_HOST: host, DOCKER_CONFIG: configDir, TERM: 'xterm' };
    const command = [client.path, ...args];
    // `script` runs a command under a pseudo-terminal and passes its exit code on.
    const [file = '', ...rest] = options.terminal
      ? ['script', '--quiet', '--return', '--command', command.map(quote).join(' '), '/dev/null']
      : command;
    const child = spawn(file, rest, { env, stdio: ['pipe', 'pipe', 'pipe'] });
    const timer = setTimeout(() => child.kill('SIGKILL'), options.timeoutMs ?? TIMEOUT_MS);
    child.stdin.on('error', () => {});
    if (!options.terminal || options.input !== undefined) child.stdin.end(options.input ?? '');
    const closed = new Promise<number>((resolve, reject) => {
      child.once('error', reject);
      child.once('close', (code, signal) => resolve(signal === null ? (code ?? -1) : -1));
    });
    const [code, stdout, stderr] = await Promise.all([closed, text(child.stdout), text(child.stderr)]);
    clearTimeout(timer);
    child.stdin.destroy();
    return { code, stdout: stdout.replaceAll('\r\n', '\n'), stderr };
  };
}

function quote(word: string): string {
  return `'${word.replaceAll("'", `'\\''`)}'`;
}
