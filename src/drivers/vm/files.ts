// Files of a VM: those its guest serves, with what preparing the root leaves behind taken out of its changes.

import type { Readable } from 'node:stream';
import type { FileChange, FileStat, Files, InstanceSpec, WriteOptions } from '../../core/index.ts';
import { ShimFiles } from '../../guest/index.ts';
import type { VmSupervisor } from './supervisor.ts';

const isBelow = (path: string, folder: string) => path.startsWith(folder === '/' ? folder : `${folder}/`);

/**
 * Drops mount points and what lies below them, then the folders that are only listed because of them. Pure; parents
 * come before their children.
 */
export function withoutMountPoints(changes: readonly FileChange[], targets: readonly string[]): FileChange[] {
  const isMade = (path: string) => targets.some((target) => path === target || isBelow(path, target));
  const made = changes.filter((change) => isMade(change.path));
  const kept = changes.filter((change) => !isMade(change.path));
  const holds = (list: readonly FileChange[], folder: string) =>
    list.some((entry) => isBelow(entry.path, folder));
  return kept.filter(({ path }) => !holds(made, path) || holds(kept, path));
}

export class VmFiles implements Files {
  readonly #files: ShimFiles;
  readonly #spec: () => InstanceSpec;

  constructor(supervisor: VmSupervisor, spec: () => InstanceSpec) {
    this.#spec = spec;
    this.#files = new ShimFiles({
      open: () => supervisor.reachFiles(),
      user: () => spec().process,
    });
  }

  stat(path: string): Promise<FileStat> {
    return this.#files.stat(path);
  }

  read(path: string): Promise<Readable> {
    return this.#files.read(path);
  }

  write(path: string, tar: Readable, options: WriteOptions): Promise<void> {
    return this.#files.write(path, tar, options);
  }

  async changes(): Promise<readonly FileChange[]> {
    const targets = this.#spec().mounts.map((mount) => mount.target);
    return withoutMountPoints(await this.#files.changes(), targets);
  }
}
