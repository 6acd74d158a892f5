// From wishes and image to the specification a driver works from. Pure.

import { hostname as hostName } from 'node:os';
import {
  BerthError,
  type Image,
  type InstanceSpec,
  type MountSpec,
  type WorkloadSpec,
} from '../../core/index.ts';
import { type MergedConfig, processEnv } from './merge.ts';
import { resolveResources } from './resources.ts';

export interface InstanceInputs {
  readonly id: string;
  readonly dir: string;
  readonly spec: WorkloadSpec;
  readonly image: Image;
  readonly layers: readonly string[];
  readonly config: MergedConfig;
  readonly mounts: readonly MountSpec[];
  /** Cgroup of all workloads of this daemon, e.g. /berth-1a2b3c4d. */
  readonly cgroupParent: string;
}

/** Fails with `unsupported` when this isolation cannot have the network. */
export function resolveInstance(inputs: InstanceInputs): InstanceSpec {
  const { id, dir, spec, config } = inputs;
  const network = networkOf(spec);
  const hostname = spec.hostname || (network === 'host' ? hostName() : id.slice(0, 12));
  return {
    id,
    dir,
    rootfs: { imageId: inputs.image.id, layers: inputs.layers },
    process: {
      args: [...config.entrypoint, ...config.command],
      env: processEnv(config.env, hostname, spec.tty),
      cwd: config.workingDir,
      user: config.user,
      additionalGroups: spec.additionalGroups,
      tty: spec.tty,
      stdin: spec.openStdin,
      privileged: spec.security.privileged,
    },
    hostname,
    domainname: spec.domainname,
    extraHosts: spec.extraHosts,
    dns: spec.dns,
    network,
    ipc: spec.ipc,
    pidMode: spec.pidMode,
    mounts: inputs.mounts,
    devices: spec.devices,
    sysctls: spec.sysctls,
    resources: resolveResources(spec.resources),
    security: spec.security,
    readonlyRoot: spec.readonlyRoot,
    ...(spec.writableBytes === undefined ? {} : { writableBytes: spec.writableBytes }),
    ephemeral: spec.autoRemove,
    init: spec.init,
    log: spec.log,
    cgroupPath: `${inputs.cgroupParent}/${id}`,
    annotations: spec.annotations,
  };
}

function networkOf({ networkMode, isolation }: WorkloadSpec): InstanceSpec['network'] {
  if (networkMode !== 'host') return 'private';
  if (isolation === 'container') return 'host';
  throw new BerthError(
    'unsupported',
    'a VM has a kernel and a network stack of its own and cannot share those of the host: use --network none or --isolation container',
  );
}
