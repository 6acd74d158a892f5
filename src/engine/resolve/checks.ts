// What cannot work is refused before anything is made, in Docker's words. Pure but for the number of CPUs.

import { availableParallelism } from 'node:os';
import {
  BerthError,
  DEVICE_LIMITS,
  type ResourceSpec,
  type RestartPolicy,
  type WorkloadSpec,
} from '../../core/index.ts';
import { parseSignal } from './signals.ts';

const MIN_MEMORY_BYTES = 6 << 20;
/** Less leaves a file system of its own with next to no room. */
const MIN_WRITABLE_BYTES = 8 << 20;
const MAX_WRITABLE_BYTES = 15 * 2 ** 40;

/** Fails with `invalid-argument` naming what is wrong. Resolves to warnings for people. */
export function checkSpec(spec: WorkloadSpec): string[] {
  if (spec.stopSignal) parseSignal(spec.stopSignal);
  if (spec.workingDir && !spec.workingDir.startsWith('/'))
    refuse(`the working directory '${spec.workingDir}' is invalid, it needs to be an absolute path`);
  if (spec.hostname !== undefined) checkHostname(spec.hostname);
  for (const entry of spec.env)
    if (entry === '' || entry.startsWith('=')) refuse(`invalid environment variable: ${entry}`);
  checkRestart(spec.restart, spec.autoRemove);
  checkResources(spec.resources);
  const { writableBytes } = spec;
  if (
    writableBytes !== undefined &&
    (writableBytes < MIN_WRITABLE_BYTES || writableBytes > MAX_WRITABLE_BYTES)
  )
    refuse(`storage-opt size ${writableBytes}: a writable layer can have between 8m and 15t`);
  return [];
}

function checkHostname(hostname: string): void {
  if (hostname.length > 64 || !/^[a-zA-Z0-9]([a-zA-Z0-9._-]*[a-zA-Z0-9])?$/.test(hostname))
    refuse(`invalid hostname format: ${hostname}`);
}

export function checkRestart(restart: RestartPolicy, autoRemove: boolean): void {
  if (autoRemove && restart.name !== 'no') refuse("can't create 'AutoRemove' container with restart policy");
  if (restart.name !== 'on-failure' && restart.maximumRetryCount !== 0)
    refuse(
      `invalid restart policy: maximum retry count cannot be used with restart policy '${restart.name}'`,
    );
  if (restart.maximumRetryCount < 0) refuse('invalid restart policy: maximum retry count cannot be negative');
}

export function checkResources(resources: Partial<ResourceSpec>): void {
  checkMemory(resources);
  checkDevices(resources);
  const { cpus, blkioWeight } = resources;
  const available = availableParallelism();
  if (cpus !== undefined && (cpus < 0.01 || cpus > available))
    refuse(
      `range of CPUs is from 0.01 to ${available.toFixed(2)}, as there are only ${available} CPUs available`,
    );
  if (blkioWeight !== undefined && (blkioWeight < 10 || blkioWeight > 1000))
    refuse('range of blkio weight is from 10 to 1000');
  if (resources.oomScoreAdj !== undefined && Math.abs(resources.oomScoreAdj) > 1000)
    refuse(`invalid value ${resources.oomScoreAdj}, range for oom score adj is [-1000, 1000]`);
  for (const { name, soft, hard } of resources.ulimits ?? [])
    if (hard !== -1 && soft > hard)
      refuse(`ulimit soft limit must be less than or equal to hard limit: ${name}: ${soft} > ${hard}`);
}

/** Paths are looked at by the driver, which knows what they mean to it. */
function checkDevices(resources: Partial<ResourceSpec>): void {
  for (const kind of DEVICE_LIMITS)
    for (const { path, value } of resources[kind] ?? []) {
      if (!path.startsWith('/'))
        refuse(`bad format for path: ${path || '""'}: name a device, such as /dev/sda`);
      if (kind === 'deviceWeights' ? value < 10 || value > 1000 : value <= 0)
        refuse(
          kind === 'deviceWeights'
            ? `invalid weight ${value} for device ${path}: range is from 10 to 1000`
            : `invalid rate ${value} for device ${path}: it must be a positive number`,
        );
    }
}

function checkMemory(resources: Partial<ResourceSpec>): void {
  const { memoryBytes, memorySwapBytes, memoryReservationBytes } = resources;
  if (memoryBytes !== undefined && memoryBytes < MIN_MEMORY_BYTES)
    refuse('Minimum memory limit allowed is 6MB');
  if (memorySwapBytes !== undefined && memorySwapBytes > 0) {
    if (memoryBytes === undefined)
      refuse('You should always set the Memory limit when using Memoryswap limit, see usage');
    else if (memorySwapBytes < memoryBytes)
      refuse('Minimum memoryswap limit should be larger than memory limit, see usage');
  }
  if (memoryReservationBytes !== undefined && memoryReservationBytes < MIN_MEMORY_BYTES)
    refuse('Minimum memory reservation allowed is 6MB');
  if (memoryBytes !== undefined && (memoryReservationBytes ?? 0) > memoryBytes)
    refuse('Minimum memory limit can not be less than memory reservation limit, see usage');
}

function refuse(message: string): never {
  throw new BerthError('invalid-argument', message);
}
