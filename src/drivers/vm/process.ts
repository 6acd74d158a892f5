// Starts the shim of an instance, and cleans up behind one that was killed.

import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { BerthError, type ExitStatus, type InstanceSpec } from '../../core/index.ts';
import { killShim, recordExit, ShimClient } from '../../guest/index.ts';
import {
  cgroupFolder,
  cgroupHost,
  createCgroup,
  killCgroup,
  limitCgroup,
  removeEmptiedCgroup,
  spawnDetached,
  supervisorGroup,
  supervisorOptions,
} from '../../host/index.ts';
import { hostGroup, memoryBytes } from './config.ts';
import { hostLimits } from './limits.ts';

function shimArguments(spec: InstanceSpec): string[] {
  const { log, process } = spec;
  return [
    'vm',
    `--dir=${spec.dir}`,
    `--id=${spec.id}`,
    ...(process.tty ? ['--tty'] : []),
    ...(process.stdin ? ['--stdin'] : []),
    ...(log.driver === 'none' ? ['--no-log'] : []),
    ...(log.maxBytes === undefined ? [] : [`--log-max-bytes=${log.maxBytes}`]),
    `--log-max-files=${log.maxFiles}`,
    ...supervisorOptions(spec.cgroupPath),
  ];
}

/** Starts a shim in state `created`. The files it reads must be there. */
export function startShim(shimPath: string, spec: InstanceSpec): ShimClient {
  const child = spawnDetached(shimPath, shimArguments(spec), { extra: ['socket'] });
  const socket = child.sockets[0];
  if (socket === undefined) throw new BerthError('internal', `${shimPath} cannot be started`);
  return ShimClient.started(spec.dir, socket);
}

/** Folders of the instance's cgroup in every hierarchy. */
export function cgroupFolders(spec: InstanceSpec): string[] {
  return [...new Set(cgroupHost().controllers.values())].map((root) => join(root, spec.cgroupPath));
}

/** The file that counts how often the kernel killed for the group's memory limit. */
export function oomFile(spec: InstanceSpec): string | undefined {
  const { version } = cgroupHost();
  const folder = cgroupFolder(spec.cgroupPath, 'memory');
  return folder === undefined
    ? undefined
    : join(folder, version === 1 ? 'memory.oom_control' : 'memory.events');
}

/** Makes the group that QEMU and its helpers run in, with the user's limits plus what QEMU itself needs. */
export async function prepareCgroup(spec: InstanceSpec): Promise<void> {
  await createCgroup(spec.cgroupPath);
  await limitCgroup(spec.cgroupPath, hostLimits(spec.resources, hostGroup(spec, memoryBytes(spec))));
}

/** Ends a machine and its shim, whatever they do; `status` is the end of its run, unless the shim wrote one. */
export async function endMachine(spec: InstanceSpec, status?: ExitStatus): Promise<void> {
  if (status !== undefined) await recordExit(spec.dir, status);
  await killShim(spec.dir);
  await cleanAfterShim(spec);
}

/** Undoes what a killed shim left behind: its machine dies with it, the groups and the socket stay. */
export async function cleanAfterShim(spec: InstanceSpec): Promise<void> {
  await killCgroup(spec.cgroupPath);
  await removeEmptiedCgroup(spec.cgroupPath);
  await removeEmptiedCgroup(supervisorGroup(spec.cgroupPath));
  for (const name of ['shim.sock', 'shim.pid', 'shares.sock', 'shares'])
    await rm(join(spec.dir, name), { force: true, recursive: true });
}
