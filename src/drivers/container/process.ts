// The shim of a container: its command line, and starting it.

import { join } from 'node:path';
import type { InstanceSpec } from '../../core/index.ts';
import { ShimClient } from '../../guest/index.ts';
import { type CgroupHost, cgroupFolder, cgroupHost } from '../../host/cgroup.ts';
import { spawnDetached } from '../../host/process.ts';
import { supervisorOptions } from '../../host/supervisor-group.ts';
import { sharedBinds } from './config-mounts.ts';
import { LAYER_IMAGE } from './layer-image.ts';

export interface ShimCommand {
  readonly spec: InstanceSpec;
  /** The OCI runtime's file. */
  readonly runtimePath: string;
  readonly cgroups: CgroupHost;
}

/** Arguments of berth-shim, after its name. Pure. */
export function shimArguments({ spec, runtimePath, cgroups }: ShimCommand): string[] {
  const hybrid = cgroups.version === 1 && cgroups.unified !== undefined;
  const owned = cgroups.hierarchies.filter((root) => !(hybrid && root === cgroups.unified));
  const memory = cgroupFolder(spec.cgroupPath, 'memory', cgroups);
  const { log } = spec;
  return [
    'container',
    `--dir=${spec.dir}`,
    `--id=${spec.id}`,
    `--runtime=${runtimePath}`,
    ...spec.rootfs.layers.map((layer) => `--layer=${layer}`),
    ...owned.map((root) => `--cgroup=${join(root, spec.cgroupPath)}`),
    ...(memory === undefined
      ? []
      : [`--oom-file=${join(memory, cgroups.version === 1 ? 'memory.oom_control' : 'memory.events')}`]),
    ...(hybrid ? [`--cover=${cgroups.unified}`] : []),
    ...(spec.network === 'private' ? ['--network'] : []),
    ...(spec.init ? ['--init'] : []),
    ...sharedBinds(spec).map(({ source }) => `--shared=${source}`),
    ...(spec.writableBytes === undefined ? [] : [`--layer-image=${LAYER_IMAGE}`]),
    ...(spec.ephemeral ? ['--ephemeral'] : []),
    ...(spec.process.tty ? ['--tty'] : []),
    ...(spec.process.stdin ? ['--stdin'] : []),
    ...(log.driver === 'none' ? ['--no-log'] : [`--log-max-files=${log.maxFiles}`]),
    ...(log.driver !== 'none' && log.maxBytes !== undefined ? [`--log-max-bytes=${log.maxBytes}`] : []),
  ];
}

/** Starts a shim; its control connection is open from the first moment on. */
export function spawnShim(shimPath: string, runtimePath: string, spec: InstanceSpec): ShimClient {
  const args = shimArguments({ spec, runtimePath, cgroups: cgroupHost() });
  args.push(...supervisorOptions(spec.cgroupPath));
  const child = spawnDetached(shimPath, args, { extra: ['socket'], env: {} });
  const [socket] = child.sockets;
  if (socket === undefined) throw new Error('a child started with a socket has one');
  return ShimClient.started(spec.dir, socket);
}
