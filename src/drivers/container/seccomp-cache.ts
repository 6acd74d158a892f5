// Compiled system call filters. Compiling one costs the OCI runtime more than all the rest of a start, so it is done
// once per profile, capability set, architecture and runtime version, and the result handed to later starts.

import { createHash, randomBytes } from 'node:crypto';
import { mkdir, mkdtemp, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { BerthError } from '../../core/index.ts';

import { run, spawnDetached } from '../../host/process.ts';
import { isSealed, writeSealed } from '../../host/sealed-file.ts';
import { isolatedCommand, writeBundle } from './bare-runtime.ts';
import { BPF_ANNOTATION } from './config.ts';
import type { OciSeccomp } from './seccomp.ts';

export interface CompileOptions {
  readonly runtimePath: string;
  /** All of `--version`: a new libseccomp or runtime may compile otherwise. */
  readonly runtimeVersion: string;
  /** A static program: the runtime wants a command that exists. */
  readonly shimPath: string;
  readonly cacheDir: string;
  /** For bundles while they are needed; emptied by the next probe. */
  readonly workDir: string;
}

export class SeccompCache {
  readonly #options: CompileOptions;
  readonly #ready = new Map<string, string>();
  readonly #pending = new Map<string, Promise<string>>();

  constructor(options: CompileOptions) {
    this.#options = options;
  }

  #key(filter: OciSeccomp): string {
    return createHash('sha256')
      .update(this.#options.runtimeVersion)
      .update(JSON.stringify(filter))
      .digest('hex');
  }

  /**
   * The compiled filter (base64) if it is at hand. Otherwise undefined, and it is made in the background for the next
   * start: this one lets the runtime compile.
   */
  peek(filter: OciSeccomp): string | undefined {
    const key = this.#key(filter);
    const ready = this.#ready.get(key);
    if (ready === undefined) this.compile(filter).catch(() => {});
    return ready;
  }

  /** Makes or loads the compiled filter. Fails when that is not possible here: starts then work all the same. */
  compile(filter: OciSeccomp): Promise<string> {
    const key = this.#key(filter);
    const pending = this.#pending.get(key) ?? this.#load(key, filter);
    this.#pending.set(key, pending);
    return pending;
  }

  async #load(key: string, filter: OciSeccomp): Promise<string> {
    const path = join(this.#options.cacheDir, `${key}.bpf`);
    if (!(await isSealed(path))) {
      const bpf = await compileFilter(filter, this.#options);
      await mkdir(this.#options.cacheDir, { recursive: true, mode: 0o700 });
      await writeSealed(path, bpf);
    }
    const bpf = await readFile(path);
    const text = bpf.toString('base64');
    this.#ready.set(key, text);
    return text;
  }
}

const NAMESPACES = ['mount', 'pid', 'ipc', 'uts'];

/**
 * Has crun create (never start) a container with the filter and takes what it compiled from its state folder. The
 * container ends with the command; nothing of it is outside the folder.
 */
async function compileFilter(filter: OciSeccomp, options: CompileOptions): Promise<Buffer> {
  await mkdir(options.workDir, { recursive: true, mode: 0o700 });
  const folder = await mkdtemp(join(options.workDir, 'compile-'));
  const id = `berth-seccomp-${randomBytes(6).toString('hex')}`;
  const state = join(folder, 'state');
  const command = (...args: string[]) =>
    isolatedCommand(options.shimPath, options.runtimePath, [
      ...['--root', state, '--cgroup-manager=disabled', ...args],
    ]);
  const bare = { args: ['probe', 'filter'], namespaces: NAMESPACES };
  try {
    await writeBundle(folder, options.shimPath, { ...bare, linux: { seccomp: filter } });
    // Its streams must be nobody's: the created process keeps them open.
    await spawnDetached(...command('create', '--bundle', folder, id), { cwd: folder, keepAlive: true }).exit;
    const bpf = await readFile(join(state, id, 'seccomp.bpf'));
    await rm(state, { recursive: true });
    const annotations = { [BPF_ANNOTATION]: bpf.toString('base64') };
    await writeBundle(folder, options.shimPath, { ...bare, annotations });
    const { stdout } = await run(...command('run', '--bundle', folder, id), { timeoutMs: 30_000 });
    checkEffect(stdout, filter);
    return bpf;
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** The compiled form must do what the filter says: what a container with it alone could do is looked at. */
function checkEffect(output: string, filter: OciSeccomp): void {
  const refuses =
    filter.defaultAction === 'SCMP_ACT_ERRNO' &&
    filter.syscalls.every((rule) => !rule.names.includes('userfaultfd'));
  const wanted = ['mode=2', 'getpid=0', ...(refuses ? [`userfaultfd=${filter.defaultErrnoRet ?? 1}`] : [])];
  const seen = output.trim().split(' ');
  const missing = wanted.filter((text) => !seen.includes(text));
  if (missing.length === 0) return;
  throw new BerthError(
    'internal',
    `the compiled filter is not in effect: no ${missing.join(', ')} in "${output.trim()}"`,
  );
}
