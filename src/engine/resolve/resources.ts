// Limits: what a change makes of them, and what a driver is to enforce. Pure.

import { DEVICE_LIMITS, type DeviceLimits, type Isolation, type ResourceSpec } from '../../core/index.ts';

/** As Docker means them: memory that is limited brings a limit of as much swap with it, unless another is given. */
export function resolveResources(resources: ResourceSpec): ResourceSpec {
  const { memoryBytes, memorySwapBytes } = resources;
  if (memoryBytes === undefined || memorySwapBytes !== undefined) return resources;
  return { ...resources, memorySwapBytes: memoryBytes * 2 };
}

/** A change speaks of single limits, and of single disks: all others stay. A rate or weight of 0 lifts one. */
export function changeResources(resources: ResourceSpec, change: Partial<ResourceSpec>): ResourceSpec {
  return { ...resources, ...change, ...changeDevices(resources, change) };
}

function changeDevices(before: DeviceLimits, change: DeviceLimits): DeviceLimits {
  return Object.fromEntries(
    DEVICE_LIMITS.filter((kind) => change[kind] !== undefined).map((kind) => {
      const limits = new Map((before[kind] ?? []).map((limit) => [limit.path, limit]));
      for (const limit of change[kind] ?? []) {
        if (limit.value === 0) limits.delete(limit.path);
        else limits.set(limit.path, limit);
      }
      return [kind, [...limits.values()]];
    }),
  );
}

/** Where a limit is weaker than it reads, for people. */
export function limitWarnings(isolation: Isolation, limits: DeviceLimits, cgroupVersion: 1 | 2): string[] {
  const writes = [...(limits.deviceWriteBps ?? []), ...(limits.deviceWriteIops ?? [])];
  if (isolation !== 'container' || cgroupVersion === 2 || writes.every(({ value }) => value === 0)) return [];
  return [
    'on this host (cgroup version 1) limits of writing to disks bind direct writes only, not those that the page cache makes later; cgroup version 2 or isolation vm bind all',
  ];
}
