// Files of a container: those of its shim, with what starting it leaves behind taken out of its changes.

import type { Readable } from 'node:stream';
import type { FileChange, FileStat, Files, InstanceSpec, WriteOptions } from '../../core/index.ts';
import { withoutMountPoints } from '../../guest/index.ts';
import { INIT_PATH } from './config-mounts.ts';

/** Mount points that the runtime makes in the root of every container. */
const MOUNT_POINTS = ['/dev', '/proc', '/sys', '/etc/hosts', '/etc/hostname', '/etc/resolv.conf', INIT_PATH];

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
    return withoutMountPoints(await this.#files.changes(), [...MOUNT_POINTS, ...targets]);
  }
}
