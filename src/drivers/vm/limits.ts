// Limits of a running VM that the host enforces, by the cgroup QEMU runs in. Pure.

import type { ResourceSpec } from '../../core/index.ts';

const HOST_LIMITS = ['cpus', 'cpuShares', 'cpusetCpus', 'cpusetMems', 'blkioWeight'] as const;

/** Those limits of a workload that bind QEMU as they stand; memory and processes are the guest's own affair. */
export function hostLimits(resources: ResourceSpec): Partial<ResourceSpec> {
  return Object.fromEntries(
    HOST_LIMITS.filter((name) => resources[name] !== undefined).map((name) => [name, resources[name]]),
  );
}

/** Those that the guest enforces on its workload. */
export function guestLimits(resources: ResourceSpec): { memory?: number; pids_max?: number } {
  const { memoryBytes, pidsLimit } = resources;
  return {
    ...(memoryBytes === undefined ? {} : { memory: memoryBytes }),
    ...(pidsLimit === undefined || pidsLimit <= 0 ? {} : { pids_max: pidsLimit }),
  };
}
