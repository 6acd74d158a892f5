// What this host allows a container to have, found out once.

import { existsSync, readFileSync } from 'node:fs';
import { arch, release } from 'node:os';
import { join } from 'node:path';
import { cgroupHost } from '../../host/cgroup.ts';
import { parseCapabilityMask } from './capabilities.ts';
import type { HostTraits } from './config.ts';

/** Names in /proc/self/limits, by what the OCI runtime calls them. */
const LIMIT_NAMES: Readonly<Record<string, string>> = {
  'Max cpu time': 'RLIMIT_CPU',
  'Max file size': 'RLIMIT_FSIZE',
  'Max data size': 'RLIMIT_DATA',
  'Max stack size': 'RLIMIT_STACK',
  'Max core file size': 'RLIMIT_CORE',
  'Max resident set': 'RLIMIT_RSS',
  'Max processes': 'RLIMIT_NPROC',
  'Max open files': 'RLIMIT_NOFILE',
  'Max locked memory': 'RLIMIT_MEMLOCK',
  'Max address space': 'RLIMIT_AS',
  'Max file locks': 'RLIMIT_LOCKS',
  'Max pending signals': 'RLIMIT_SIGPENDING',
  'Max msgqueue size': 'RLIMIT_MSGQUEUE',
  'Max nice priority': 'RLIMIT_NICE',
  'Max realtime priority': 'RLIMIT_RTPRIO',
  'Max realtime timeout': 'RLIMIT_RTTIME',
};

/** Hard limits by OCI name; unlimited ones are left out. */
export function parseHardLimits(text: string): Map<string, number> {
  const limits = new Map<string, number>();
  for (const line of text.split('\n')) {
    const match = /^(.*?)\s{2,}(\S+)\s+(\S+)/.exec(line);
    const name = LIMIT_NAMES[match?.[1] ?? ''];
    if (name !== undefined && /^\d+$/.test(match?.[3] ?? '')) limits.set(name, Number(match?.[3]));
  }
  return limits;
}

/** The highest values of the resource limits that no privilege raises. */
function kernelLimits(): ReadonlyMap<string, number> {
  return new Map([['RLIMIT_NOFILE', Number(readFileSync('/proc/sys/fs/nr_open', 'utf8'))]]);
}

export function readTraits(): HostTraits {
  const status = readFileSync('/proc/self/status', 'utf8');
  const mask = (name: string) =>
    parseCapabilityMask(new RegExp(`^${name}:\\s+(\\w+)`, 'm').exec(status)?.[1] ?? '0');
  const cgroups = cgroupHost();
  const has = (controller: string, file: string) =>
    existsSync(join(cgroups.controllers.get(controller) ?? '/nonexistent', file));
  const mayRaise = mask('CapEff').includes('SYS_RESOURCE');
  return {
    arch: arch(),
    kernel: release(),
    capabilities: mask('CapBnd'),
    hardLimits: mayRaise ? kernelLimits() : parseHardLimits(readFileSync('/proc/self/limits', 'utf8')),
    swapLimit: cgroups.version === 2 || has('memory', 'memory.memsw.limit_in_bytes'),
    blkioWeight: cgroups.version === 2 || has('blkio', 'blkio.weight') || has('blkio', 'blkio.bfq.weight'),
    cgroupVersion: cgroups.version,
  };
}
