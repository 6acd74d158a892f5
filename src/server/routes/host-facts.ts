// Facts about the machine that `version` and `info` show.

import { readFile } from 'node:fs/promises';
import { arch, release } from 'node:os';

const GO_NAMES: Readonly<Record<string, string>> = { x64: 'amd64', ia32: '386' };
const MACHINE_NAMES: Readonly<Record<string, string>> = { x64: 'x86_64', arm64: 'aarch64' };

/** The architecture as Go and OCI images call it. */
export const GO_ARCHITECTURE = GO_NAMES[arch()] ?? arch();
/** The architecture as uname calls it. */
export const MACHINE = MACHINE_NAMES[arch()] ?? arch();

export interface HostDescription {
  readonly kernel: string;
  readonly operatingSystem: string;
  readonly osVersion: string;
  readonly cgroupVersion: '1' | '2';
}

let described: Promise<HostDescription> | undefined;

/** None of it changes while the daemon runs: read once. */
export function describeHost(): Promise<HostDescription> {
  described ??= describe();
  return described;
}

async function describe(): Promise<HostDescription> {
  const release_ = await readFile('/etc/os-release', 'utf8').catch(() => '');
  const field = (name: string) => new RegExp(`^${name}="?([^"\n]*)"?$`, 'm').exec(release_)?.[1] ?? '';
  const unified = await readFile('/sys/fs/cgroup/cgroup.controllers', 'utf8').catch(() => undefined);
  return {
    kernel: release(),
    operatingSystem: field('PRETTY_NAME') || 'Linux',
    osVersion: field('VERSION_ID'),
    cgroupVersion: unified === undefined ? '1' : '2',
  };
}
