// The program that serves folders of the host to a guest. There are two with different options: QEMU's own in C (up to
// QEMU 7.2), and its successor in Rust, a package of its own.

import { access, constants } from 'node:fs/promises';
import { BerthError } from '../core/index.ts';
import { run } from '../host/index.ts';

/** Paths of virtiofsd in distributions; the newer implementation comes first. */
const PLACES: readonly string[] = [
  '/usr/libexec/virtiofsd',
  '/usr/lib/virtiofsd',
  '/usr/bin/virtiofsd',
  '/usr/lib/qemu/virtiofsd',
];
export const VIRTIOFSD_REMEDY =
  'install the package virtiofsd (a part of qemu-system-common in Debian 12 and Ubuntu 22.04)';
/** The descriptor of the socket that it listens on. */
const LISTENER = 3;

export interface Virtiofsd {
  readonly path: string;
  readonly kind: 'c' | 'rust';
  readonly version: string;
}

/** Fails with `not-found` naming the places. */
export async function findVirtiofsd(places: readonly string[] = PLACES): Promise<Virtiofsd> {
  for (const path of places) {
    if (!(await isExecutable(path))) continue;
    const { stdout, stderr } = await run(path, ['--version']);
    const text = stdout || stderr;
    const kind = text.includes('FUSE kernel interface') ? 'c' : 'rust';
    return { path, kind, version: /\d+\.\S+/.exec(text)?.[0] ?? 'unknown' };
  }
  throw new BerthError('not-found', `no virtiofsd is at ${places.join(', ')}: ${VIRTIOFSD_REMEDY}`);
}

function isExecutable(path: string): Promise<boolean> {
  return access(path, constants.X_OK).then(
    () => true,
    () => false,
  );
}

/** The command line of a virtiofsd that shuts itself in the folder and gives up all that it does not need. Pure. */
export function virtiofsdCommand({ path, kind }: Virtiofsd, folder: string): string[] {
  const common = [`--fd=${LISTENER}`, '--rlimit-nofile=0'];
  if (kind === 'rust') {
    const shared = ['--shared-dir', folder, '--sandbox', 'namespace', '--seccomp', 'kill'];
    return [
      path,
      ...common,
      ...shared,
      '--announce-submounts',
      '--xattr',
      '--cache',
      'auto',
      '--log-level',
      'error',
    ];
  }
  const options = [
    `source=${folder.replace(/[,\\]/g, '\\$&')}`,
    'sandbox=namespace,announce_submounts,xattr,cache=auto',
  ];
  return [
    path,
    ...common,
    '--thread-pool-size=1',
    ...[...options, 'log_level=err'].flatMap((text) => ['-o', text]),
  ];
}
