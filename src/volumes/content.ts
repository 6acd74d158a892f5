// How a volume's content is reached: as a folder of the host, or in an image file that only its users see mounted.

import { dirname } from 'node:path';
import { BerthError } from '../core/index.ts';
import { type RunOptions, run, type StreamChild, spawnStream } from '../host/index.ts';

/** Where content lies. */
export interface VolumePlace {
  /** The volume's folder on the host; for an image file, where it is mounted for those who need it. */
  readonly mountpoint: string;
  /** Path of the image file of a volume with a size limit. */
  readonly image?: string;
}

/** Folder of the content in an image file; beside it lies what a file system has of its own. */
export const DATA_FOLDER = 'data';

/** The folder that the content's folder is in. What is beside it is ours. */
export function besideContent({ mountpoint, image }: VolumePlace): string {
  return image === undefined ? dirname(mountpoint) : mountpoint;
}

/** The path at which programs started by a `ContentDoor` see the content. */
export function contentPath({ mountpoint, image }: VolumePlace): string {
  return image === undefined ? mountpoint : `${mountpoint}/${DATA_FOLDER}`;
}

/**
 * Starts programs that see a volume's content. An image file is mounted for each of them alone, and with it goes the
 * mount, however it ends.
 */
export class ContentDoor {
  readonly #shimPath: string | undefined;

  constructor(shimPath: string | undefined) {
    this.#shimPath = shimPath;
  }

  async run(place: VolumePlace, command: readonly string[], options: RunOptions = {}): Promise<string> {
    const [file = '', ...args] = this.#command(place, command);
    return (await run(file, args, options)).stdout;
  }

  /** A program that mounts: what it mounts is seen by nobody else, and goes with it. */
  async runApart(place: VolumePlace, command: readonly string[], options: RunOptions = {}): Promise<void> {
    // Whoever is inside an image is apart.
    const apart = place.image === undefined ? [this.#shim(), 'apart', ...command] : command;
    await this.run(place, apart, options);
  }

  stream(place: VolumePlace, command: readonly string[], options: RunOptions = {}): StreamChild {
    const [file = '', ...args] = this.#command(place, command);
    return spawnStream(file, args, options);
  }

  #command({ mountpoint, image }: VolumePlace, command: readonly string[]): readonly string[] {
    return image === undefined ? command : [this.#shim(), 'inside', image, mountpoint, ...command];
  }

  #shim(): string {
    if (this.#shimPath === undefined)
      throw new BerthError('unsupported', 'this daemon was started without the program that mounts');
    return this.#shimPath;
  }
}
