// The control group of a supervisor: beside that of its workload, so that neither counts in the other. The supervisor makes and
// removes it (shim/own-group.c); what one that was killed left is removed here.

import { readFileSync } from 'node:fs';
import { type CgroupHost, cgroupFolder, cgroupHost } from './cgroup.ts';

/** The path of the group, by that of the workload's. */
export function supervisorGroup(cgroupPath: string): string {
  return `${cgroupPath}.shim`;
}

/**
 * What a supervisor is told: the folder of its group, and that of ours, in which its children stand. Without the memory
 * controller there is none.
 */
export function supervisorFolders(
  cgroupPath: string,
  host: CgroupHost = cgroupHost(),
): { readonly group?: string; readonly outside?: string } {
  const group = cgroupFolder(supervisorGroup(cgroupPath), 'memory', host);
  const ours = host.version === 1 ? /^\d+:(?:.*,)?memory(?:,.*)?:(.+)$/m : /^0::(.+)$/m;
  const path = ours.exec(readFileSync('/proc/self/cgroup', 'utf8'))?.[1];
  const outside = path === undefined ? undefined : cgroupFolder(path, 'memory', host);
  return group === undefined || outside === undefined ? {} : { group, outside };
}

/** The same on its command line. */
export function supervisorOptions(cgroupPath: string): string[] {
  return Object.entries(supervisorFolders(cgroupPath)).map(([name, folder]) => `--${name}=${folder}`);
}
