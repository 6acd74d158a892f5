// Options of Docker's that would change what runs and that Berth does not have: refused by name, never passed over.

import { BerthError } from '../../core/index.ts';
import type { CreateRequest, Fields } from '../../wire/index.ts';

/** HostConfig members, and what to do instead. Empty, zero and false values say nothing and pass. */
const REFUSED: Readonly<Record<string, string>> = {
  VolumesFrom: 'name the volumes with -v instead',
  Links: 'workloads of one network find each other by name: use --network',
  CgroupParent: 'Berth places its own control groups',
  UTSMode: 'the host name is always private: use --hostname',
  DeviceRequests: 'GPUs and other requested devices are not available: use --device for a container',
  DeviceCgroupRules: 'use --device instead',
  CpuRealtimePeriod: 'realtime scheduling is not available',
  CpuRealtimeRuntime: 'realtime scheduling is not available',
  KernelMemory: 'use --memory instead',
  KernelMemoryTCP: 'use --memory instead',
  DnsOptions: 'resolver options are not available: mount a resolv.conf instead',
  DnsSearch: 'search domains are not available: mount a resolv.conf instead',
  CpuCount: 'this is for Windows only: use --cpus',
  CpuPercent: 'this is for Windows only: use --cpus',
  IOMaximumIOps: 'this is for Windows only',
  IOMaximumBandwidth: 'this is for Windows only',
};

/** Members with a few values that mean what Berth does anyway. */
const ONLY: Readonly<Record<string, readonly unknown[]>> = {
  UsernsMode: ['host'],
  CgroupnsMode: ['private'],
  VolumeDriver: ['local'],
  MemorySwappiness: [-1],
};

/** Fails with `unsupported`, naming the option and the remedy. */
export function refuseUnsupported({ HostConfig: host }: CreateRequest): void {
  for (const [key, remedy] of Object.entries(REFUSED))
    if (saysSomething(host.fields, key)) throw unsupported(key, remedy);
  for (const [key, values] of Object.entries(ONLY))
    if (saysSomething(host.fields, key) && !values.includes(host.fields.raw(key)))
      throw unsupported(key, `only ${values.map(String).join(', ')} is`);
}

function saysSomething(fields: Fields, key: string): boolean {
  const value = fields.raw(key);
  if (value === undefined || value === '' || value === 0 || value === false) return false;
  return typeof value !== 'object' || Object.keys(value as object).length > 0;
}

function unsupported(key: string, remedy: string): BerthError {
  return new BerthError('unsupported', `HostConfig.${key} is not supported: ${remedy}`);
}
