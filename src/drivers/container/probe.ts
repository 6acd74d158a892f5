// Which OCI runtime works here, found out by running a container with it.

import { randomBytes } from 'node:crypto';
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { DriverProbe, Probe } from '../../core/index.ts';
import { BerthError, errorMessage } from '../../core/index.ts';
import { cgroupHost, removeEmptyCgroup } from '../../host/cgroup.ts';
import { run } from '../../host/process.ts';
import { remedyFor } from '../../host/programs.ts';
import { isolatedCommand, writeBundle } from './bare-runtime.ts';

export interface Runtime {
  readonly name: 'crun' | 'runc';
  readonly path: string;
  /** All of `--version`. */
  readonly version: string;
}

export interface RuntimeProbe {
  readonly runtime?: Runtime;
  readonly probe: DriverProbe;
}

const CANDIDATES = ['crun', 'runc'] as const;

/** Tries the runtimes in order of preference; the first that runs a container is taken. Never throws. */
export async function probeRuntimes(
  shimPath: string,
  workDir: string,
  wanted?: string,
): Promise<RuntimeProbe> {
  const probes: Probe[] = [];
  // What a daemon that was killed in the middle of this left behind.
  await rm(workDir, { recursive: true, force: true }).catch(() => {});
  for (const name of CANDIDATES) {
    if (wanted !== undefined && wanted !== name) continue;
    const tried = await tryRuntime(name, shimPath, workDir);
    probes.push(tried.probe);
    if (tried.runtime === undefined) continue;
    const version = tried.runtime.version.split('\n')[0] ?? name;
    const facts = { runtime: version, cgroup: `v${cgroupHost().version}` };
    return { runtime: tried.runtime, probe: { usable: true, probes, facts } };
  }
  return { probe: { usable: false, probes, facts: {} } };
}

async function tryRuntime(
  name: Runtime['name'],
  shimPath: string,
  workDir: string,
): Promise<{ runtime?: Runtime; probe: Probe }> {
  try {
    const version = (await run(name, ['--version'])).stdout.trim();
    const path = (await run('sh', ['-c', `command -v ${name}`])).stdout.trim();
    await runOnce(path, shimPath, workDir);
    const detail = `${version.split('\n')[0]} runs containers`;
    return { runtime: { name, path, version }, probe: { name, ok: true, detail } };
  } catch (error) {
    const remedy = remedyFor(error, 'run Berth as root with the right to make namespaces and control groups');
    return { probe: { name, ok: false, detail: errorMessage(error), remedy } };
  }
}

const NAMESPACES = ['mount', 'pid', 'ipc', 'uts', 'network'];

/** One container, with a cgroup and a network of its own. */
async function runOnce(runtime: string, shimPath: string, workDir: string): Promise<void> {
  await mkdir(workDir, { recursive: true, mode: 0o700 });
  const folder = await mkdtemp(join(workDir, 'run-'));
  const id = `berth-probe-${randomBytes(6).toString('hex')}`;
  try {
    const linux = { cgroupsPath: `/${id}` };
    await writeBundle(folder, shimPath, { args: ['probe'], namespaces: NAMESPACES, linux });
    const args = ['--root', join(folder, 'state'), 'run', '--bundle', folder, id];
    const { stdout } = await run(...isolatedCommand(shimPath, runtime, args), { timeoutMs: 30_000 });
    if (stdout.trim() !== 'ok')
      throw new BerthError('internal', `the container printed "${stdout.trim()}", not "ok"`);
  } finally {
    await removeEmptyCgroup(`/${id}`);
    await rm(folder, { recursive: true, force: true });
  }
}
