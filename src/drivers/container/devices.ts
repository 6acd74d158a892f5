// Device nodes of the host that a container is given.

import { readdirSync, type Stats, statSync } from 'node:fs';
import { join } from 'node:path';
import { BerthError, type DeviceSpec, type InstanceSpec } from '../../core/index.ts';
import { splitDevice } from '../../host/block-device.ts';
import type { DeviceNode } from './config.ts';

/** Not devices of the host but of each container, or no devices at all. */
const OWN = new Set(['pts', 'shm', 'fd', 'mqueue', 'console', 'ptmx', 'stdin', 'stdout', 'stderr']);

function node(info: Stats, path: string, permissions: string): DeviceNode | undefined {
  if (!info.isCharacterDevice() && !info.isBlockDevice()) return undefined;
  return {
    path,
    type: info.isBlockDevice() ? 'b' : 'c',
    ...splitDevice(info.rdev),
    fileMode: info.mode & 0o7777,
    uid: info.uid,
    gid: info.gid,
    permissions,
  };
}

function below(folder: string, target: string, permissions: string, skip: ReadonlySet<string>): DeviceNode[] {
  return readdirSync(folder, { withFileTypes: true }).flatMap((entry) => {
    if (skip.has(entry.name)) return [];
    const path = join(folder, entry.name);
    if (entry.isDirectory()) return below(path, join(target, entry.name), permissions, new Set());
    if (!entry.isCharacterDevice() && !entry.isBlockDevice()) return [];
    const found = node(statSync(path), join(target, entry.name), permissions);
    return found === undefined ? [] : [found];
  });
}

function asked(device: DeviceSpec): DeviceNode[] {
  let info: Stats;
  try {
    info = statSync(device.hostPath);
  } catch (cause) {
    throw new BerthError(
      'invalid-argument',
      `error gathering device information: no such device: ${device.hostPath}`,
      {
        cause,
      },
    );
  }
  if (info.isDirectory()) return below(device.hostPath, device.path, device.permissions, new Set());
  const found = node(info, device.path, device.permissions);
  if (found === undefined)
    throw new BerthError('invalid-argument', `${device.hostPath} is not a device node`);
  return [found];
}

/** The devices of a workload, each path once; a privileged one has all of the host's. */
export function devicesOf(spec: InstanceSpec): DeviceNode[] {
  const all = spec.security.privileged ? below('/dev', '/dev', 'rwm', OWN) : [];
  const nodes = [...all, ...spec.devices.flatMap(asked)];
  return [...new Map(nodes.map((entry) => [entry.path, entry])).values()];
}
