// The engines under measurement, each private to the benchmark: own state, own socket, gone afterwards. Docker's daemon
// gets mount and network namespaces of its own, so that it changes nothing of the host.

import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  existsSync,
  linkSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { env as processEnv } from 'node:process';
import { fileURLToPath } from 'node:url';

export const ROOT = fileURLToPath(new URL('..', import.meta.url));
const HYBRID = '/sys/fs/cgroup/unified';
export const BERTH = join(ROOT, 'berth');

export interface Engine {
  readonly socket: string;
  readonly pid: number;
  /** Environment under which its clients reach it. */
  readonly env: NodeJS.ProcessEnv;
}

// A certificate bundle given by the environment costs every Node a tenth of a second.
const { NODE_EXTRA_CA_CERTS: _, ...plainEnv } = processEnv;

/** A temporary folder with an unpacked busybox in `rootfs`, and the same as `busybox.tar`. */
export function scratch(): string {
  const folder = mkdtempSync(join(tmpdir(), 'berth-bench-'));
  const bin = join(folder, 'rootfs', 'bin');
  mkdirSync(bin, { recursive: true });
  execFileSync('cp', ['/bin/busybox', join(bin, 'busybox')]);
  for (const name of ['sh', 'true', 'cat', 'echo', 'sleep']) linkSync(join(bin, 'busybox'), join(bin, name));
  execFileSync('tar', ['-C', join(folder, 'rootfs'), '-cf', join(folder, 'busybox.tar'), '.']);
  return folder;
}

/** Runs a program to its end; throws unless it exits with 0. */
export async function succeed(file: string, args: readonly string[], env = plainEnv): Promise<void> {
  const child = spawn(file, args, { env, stdio: ['ignore', 'ignore', 'pipe'] });
  let complaint = '';
  child.stderr.on('data', (chunk) => {
    complaint += chunk;
  });
  const [code] = await once(child, 'close');
  if (code !== 0) throw new Error(`${file} ${args.join(' ')} exited with ${code}: ${complaint}`);
}

async function untilReady(check: () => Promise<void>, child: ChildProcess): Promise<void> {
  for (let attempt = 0; ; attempt++) {
    try {
      return await check();
    } catch (error) {
      if (attempt > 100 || child.exitCode !== null) throw error;
      await new Promise((resume) => setTimeout(resume, 100));
    }
  }
}

async function end(child: ChildProcess, signal: NodeJS.Signals, pid = child.pid): Promise<void> {
  if (child.exitCode !== null || pid === undefined) return;
  const gone = once(child, 'exit');
  process.kill(pid, signal);
  await gone;
}

function removeCgroups(name: string): void {
  for (const controller of ['.', ...readdirSync('/sys/fs/cgroup')]) {
    const path = join('/sys/fs/cgroup', controller, name);
    if (existsSync(path)) execFileSync('find', [path, '-depth', '-type', 'd', '-delete']);
  }
}

/** Docker's daemon with `busybox` imported, with or without its bridge; disposal ends it and removes all it made. */
export async function startDocker(
  folder: string,
  network: 'none' | 'bridge' = 'none',
): Promise<Engine & AsyncDisposable> {
  const at = (name: string): string => join(folder, 'docker', name);
  mkdirSync(at('.'), { recursive: true });
  const cgroup = `berth-bench-${process.pid}`;
  const flags = [
    `--host=unix://${at('sock')}`,
    `--data-root=${at('data')}`,
    `--exec-root=${at('exec')}`,
    `--pidfile=${at('pid')}`,
    `--cgroup-parent=/${cgroup}`,
    '--log-level=error',
    ...(network === 'bridge' ? [] : ['--bridge=none', '--iptables=false', '--ip6tables=false']),
  ];
  const lo = network === 'bridge' ? 'ip link set lo up && ' : '';
  const script = `${lo}mount --make-rprivate / && mount -t tmpfs tmpfs /run && exec dockerd "$@"`;
  const child = spawn('unshare', ['--mount', '--net', 'sh', '-c', script, 'dockerd', ...flags], {
    env: plainEnv,
    stdio: 'ignore',
  });
  const env = { ...plainEnv, DOCKER_HOST: `unix://${at('sock')}` };
  const stop = async (): Promise<void> => {
    await end(child, 'SIGTERM');
    removeCgroups(cgroup);
  };
  try {
    await untilReady(() => succeed('docker', ['version'], env), child);
    await succeed('docker', ['import', join(folder, 'busybox.tar'), 'busybox'], env);
  } catch (error) {
    await stop();
    throw error;
  }
  const pid = Number(readFileSync(at('pid'), 'utf8'));
  return { socket: at('sock'), pid, env, [Symbol.asyncDispose]: stop };
}

/** Berth's daemon with `busybox` imported; disposal ends it. */
export async function startBerth(folder: string): Promise<Engine & AsyncDisposable> {
  const socket = join(folder, 'berth.sock');
  const env = { ...plainEnv, BERTH_ROOT: join(folder, 'berth'), BERTH_HOST: `unix://${socket}` };
  const child = spawn(process.execPath, [join(ROOT, 'build', 'berthd.mjs')], { env, stdio: 'ignore' });
  const stop = (): Promise<void> => end(child, 'SIGTERM');
  try {
    await untilReady(async () => {
      if (!existsSync(socket)) throw new Error('the daemon of Berth made no socket');
    }, child);
    await succeed(BERTH, ['import', join(folder, 'busybox.tar'), 'busybox'], env);
  } catch (error) {
    await stop();
    throw error;
  }
  return { socket, pid: child.pid ?? 0, env, [Symbol.asyncDispose]: stop };
}

export interface Podman {
  /** Global arguments: state in the folder, and a runtime that works here. */
  readonly global: readonly string[];
  /** Arguments of `run`: Podman's default limits are more than every root may set. */
  readonly run: readonly string[];
}

/** Podman with all its state in the folder and `busybox` imported. */
export async function preparePodman(folder: string): Promise<Podman> {
  const at = (name: string): string => join(folder, 'podman', name);
  const own = [
    '--root',
    at('root'),
    '--runroot',
    at('run'),
    '--tmpdir',
    at('tmp'),
    '--cgroup-manager=cgroupfs',
  ];
  // Under Podman, crun refuses the hybrid cgroup tree.
  const runtime = existsSync(HYBRID) ? 'runc' : 'crun';
  const global = [...own, '--storage-driver=overlay', `--runtime=${runtime}`, '--events-backend=none'];
  await succeed('podman', [...global, 'import', join(folder, 'busybox.tar'), 'busybox']);
  return { global, run: ['--ulimit=nofile=1024:1024', '--ulimit=nproc=1024:1024'] };
}

/**
 * A bundle that runs `true` on the unpacked busybox, and the command that runs it with plain crun. crun refuses the
 * hybrid cgroup tree: there it runs in a mount namespace that hides the unused half.
 */
export function prepareCrun(folder: string): { readonly command: readonly string[] } & Disposable {
  execFileSync('crun', ['spec'], { cwd: folder });
  const path = join(folder, 'config.json');
  const config = JSON.parse(readFileSync(path, 'utf8'));
  config.process.terminal = false;
  config.process.args = ['true'];
  config.process.rlimits = undefined;
  writeFileSync(path, JSON.stringify(config));
  const command = ['crun', 'run', '--bundle', folder, `berth-bench-${process.pid}`];
  if (!existsSync(HYBRID)) return { command, [Symbol.dispose]() {} };
  const pin = join(folder, 'mounts');
  writeFileSync(pin, '');
  // A mount namespace can be pinned only on a mount that is private.
  execFileSync('mount', ['--bind', pin, pin]);
  execFileSync('mount', ['--make-private', pin]);
  execFileSync('unshare', [`--mount=${pin}`, 'mount', '-t', 'tmpfs', '-o', 'size=1m', 'tmpfs', HYBRID]);
  return {
    command: ['nsenter', `--mount=${pin}`, ...command],
    [Symbol.dispose]: () => void execFileSync('umount', [pin]),
  };
}

/** Removes the folder with all that engines left mounted in it. */
export function removeScratch(folder: string): void {
  const mounted = readFileSync('/proc/self/mountinfo', 'utf8')
    .split('\n')
    .map((line) => line.split(' ')[4] ?? '');
  for (const path of mounted.reverse()) if (path.startsWith(`${folder}/`)) execFileSync('umount', [path]);
  rmSync(folder, { recursive: true, force: true });
}
