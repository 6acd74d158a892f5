// Programs of other packages that Berth executes, by the Debian package that each is in: errors and probes that miss a
// program name the package. Essential packages are listed too, since a host without dpkg may lack them.

import { BerthError, isBerthError } from '../core/index.ts';

export const PACKAGE_OF: Readonly<Record<string, string>> = {
  'apt-config': 'apt',
  busybox: 'busybox-static',
  cp: 'coreutils',
  crun: 'crun',
  flock: 'util-linux',
  gzip: 'gzip',
  ip: 'iproute2',
  'mkfs.erofs': 'erofs-utils',
  'mkfs.ext4': 'e2fsprogs',
  mmdebstrap: 'mmdebstrap',
  mount: 'mount',
  nft: 'nftables',
  ps: 'procps',
  'qemu-system-x86_64': 'qemu-system-x86',
  runc: 'runc',
  setpriv: 'util-linux',
  setsid: 'util-linux',
  sh: 'dash',
  stty: 'coreutils',
  tar: 'tar',
  unshare: 'util-linux',
  virtiofsd: 'virtiofsd',
  xz: 'xz-utils',
  zstd: 'zstd',
};

/** Words of the error for a program that is not there; `file` may be a path. */
export function missingProgram(file: string): string {
  const name = file.split('/').at(-1) ?? file;
  const from = Object.hasOwn(PACKAGE_OF, name) ? `: install the package ${PACKAGE_OF[name]}` : '';
  return `the program ${name} is missing${from}`;
}

/** The program that a shell script could not find, by what the shell said of it. */
export function missingInScript(exitCode: number | null, text: string): string | undefined {
  if (exitCode !== 127) return undefined;
  return /([\w./-]+): (?:command )?not found\s*$/m.exec(text)?.[1];
}

/** The remedy for an error: the package to install where a program is missing, or else `otherwise`. */
export function remedyFor(error: unknown, otherwise: string): string {
  const named = isBerthError(error, 'not-found') && /install the package (\S+)/.exec(error.message)?.[1];
  return named ? `run set-up again, or install the package ${named}` : otherwise;
}

export function programError(file: string, cause?: unknown): BerthError {
  return new BerthError('not-found', missingProgram(file), { cause });
}
