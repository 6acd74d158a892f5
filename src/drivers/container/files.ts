// Files of a container: those of its shim, with what starting it leaves behind taken out of its changes.

import type { Readable } from 'node:stream';
import type { FileChange, FileStat, Files, InstanceSpec, WriteOptions } from '../../core/index.ts';
import { INIT_PATH } from './config-mounts.ts';

/** Mount points that the runtime makes in the root of every container. */
const MOUNT_POINTS = ['/dev', '/proc', '/sys', '/etc/hosts', '/etc/hostname', '/etc/resolv.conf', INIT_PATH];

const isBelow = (path: string, folder: string) => path.startsWith(folder === '/' ? folder : `${folder}/`);

/**
 * Drops mount points and what the runtime makes below /dev, then the folders that are only listed because of them.
 * Pure; `changes` has parents before children.
 */
export function withoutMountPoints(changes: readonly FileChange[], targets: readonly string[]): FileChange[] {
  const made = new Set([...MOUNT_POINTS, ...targets]);
  const isMade = (path: string) => made.has(path) || isBelow(path, '/dev');
  const kept = changes.filter((change) => !isMade(change.path));
  const held = changes.filter((change) => isMade(change.path));
  return kept.filter(
    ({ path }) =>
      !held.some((entry) => isBelow(entry.path, path)) || kept.some((entry) => isBelow(entry.path, path)),
  );
}

export class ContainerFiles implements Files {
  readonly #files: Files;
  readonly #spec: () => InstanceSpec;
  readonly #changed: () => void;

  constructor(files: Files, spec: () => InstanceSpec, changed: () => void) {
    this.#files = files;
    this.#spec = spec;
    this.#changed = changed;
  }

  stat(path: string): Promise<FileStat> {
    return this.#files.stat(path);
  }

  read(path: string): Promise<Readable> {
    return this.#files.read(path);
  }

  async write(path: string, tar: Readable, options: WriteOptions): Promise<void> {
    this.#changed();
    await this.#files.write(path, tar, options);
  }

  async changes(): Promise<readonly FileChange[]> {
    const targets = this.#spec().mounts.map((mount) => mount.target);
    return withoutMountPoints(await this.#files.changes(), targets);
  }
}
