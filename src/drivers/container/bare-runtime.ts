// The OCI runtime without a shim, for probing it: with a copy of the shim as the only program of its root.

import { copyFile, mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { cgroupHost } from '../../host/cgroup.ts';

/**
 * A command that executes the runtime in a mount namespace like the shim's (shim/mounts.c), in which this process's root is
 * the root and a hybrid host's unified hierarchy is out of sight: crun refuses, or leaves folders there, otherwise. All
 * processes that it makes are in one pid namespace, which ends with the command, and the command ends with this process.
 */
export function isolatedCommand(
  shimPath: string,
  runtime: string,
  args: readonly string[],
): readonly [string, readonly string[]] {
  const { unified, version } = cgroupHost();
  const cover =
    version === 1 && unified !== undefined ? `mount -t tmpfs -o size=64k tmpfs ${unified} && ` : '';
  const own = ['unshare', '--mount', '--pid', '--fork', '--kill-child', '--mount-proc'];
  const script = `${cover}exec "$0" "$@"`;
  return [shimPath, ['apart', ...own, '--', 'sh', '-c', script, runtime, ...args]];
}

export interface BareOptions {
  /** Arguments of berth-shim inside. */
  readonly args: readonly string[];
  readonly namespaces: readonly string[];
  readonly annotations?: Readonly<Record<string, string>>;
  readonly linux?: Readonly<Record<string, unknown>>;
}

/** Makes (or changes) a bundle whose root holds a copy of the shim and nothing else. */
export async function writeBundle(folder: string, shimPath: string, options: BareOptions): Promise<void> {
  // crun wants /dev to be there, runc wants /proc mounted.
  for (const name of ['proc', 'dev']) await mkdir(join(folder, 'rootfs', name), { recursive: true });
  await copyFile(shimPath, join(folder, 'rootfs/shim'));
  const config = {
    ociVersion: '1.0.2',
    process: {
      user: { uid: 0, gid: 0 },
      args: ['/shim', ...options.args],
      env: ['PATH=/'],
      cwd: '/',
      noNewPrivileges: true,
    },
    root: { path: 'rootfs', readonly: true },
    mounts: [{ destination: '/proc', type: 'proc', source: 'proc' }],
    annotations: options.annotations ?? {},
    linux: { namespaces: options.namespaces.map((type) => ({ type })), ...options.linux },
  };
  await writeFile(join(folder, 'config.json'), JSON.stringify(config));
}
