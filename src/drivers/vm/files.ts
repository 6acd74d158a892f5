// Files of a VM: those its guest serves, with what preparing the root leaves behind taken out of its changes.

import type { Readable } from 'node:stream';
import type { FileChange, FileStat, Files, InstanceSpec, WriteOptions } from '../../core/index.ts';
import { ShimFiles, withoutMountPoints } from '../../guest/index.ts';
import type { VmSupervisor } from './supervisor.ts';

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
