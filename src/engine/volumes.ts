// The engine's face for volumes: the store, and events of what happens in it.

import type { Readable } from 'node:stream';
import { BerthError } from '../core/index.ts';
import type { NewVolume, Volume, VolumeArchives, Volumes } from './api.ts';
import type { EngineContext } from './context.ts';
import { volumeEvent } from './removal.ts';

export class VolumeTable implements Volumes {
  readonly #ctx: EngineContext;
  readonly archives: VolumeArchives;

  constructor(ctx: EngineContext) {
    this.#ctx = ctx;
    this.archives = new ArchiveTable(ctx);
  }

  async create(wish: NewVolume): Promise<Volume> {
    const { volume, created } = await this.#ctx.volumes.create(wish);
    if (created) this.#ctx.events.publish(volumeEvent('create', volume.name));
    return volume;
  }

  get(name: string): Volume {
    return this.#ctx.volumes.get(name);
  }

  list(): readonly Volume[] {
    return this.#ctx.volumes.list();
  }

  async remove(name: string, options: { readonly force: boolean }): Promise<void> {
    if (await this.#ctx.volumes.remove(name, options.force))
      this.#ctx.events.publish(volumeEvent('destroy', name));
  }

  async prune(options: {
    readonly all: boolean;
    readonly matches?: (volume: Volume) => boolean;
  }): Promise<{ readonly removed: readonly string[]; readonly reclaimedBytes: number }> {
    const removed: string[] = [];
    let reclaimedBytes = 0;
    for (const volume of this.list()) {
      const { name, anonymous } = volume;
      if (!(anonymous || options.all) || this.#ctx.registry.usersOf(name).length > 0) continue;
      if (options.matches?.(volume) === false) continue;
      const bytes = await this.usageBytes(name);
      // A workload may have come to use it while it was measured.
      if (this.#ctx.registry.usersOf(name).length > 0) continue;
      await this.remove(name, { force: true });
      removed.push(name);
      reclaimedBytes += bytes;
    }
    return { removed, reclaimedBytes };
  }

  usageBytes(name: string): Promise<number> {
    return this.#ctx.volumes.usageBytes(name);
  }
}

/** Backup and restore. */
class ArchiveTable implements VolumeArchives {
  readonly #ctx: EngineContext;

  constructor(ctx: EngineContext) {
    this.#ctx = ctx;
  }

  backup(name: string): Readable {
    return this.#ctx.volumes.backup(name);
  }

  async restore(
    name: string,
    tar: Readable,
    { force, signal }: { readonly force: boolean; readonly signal?: AbortSignal },
  ): Promise<void> {
    const { volumes, registry, events } = this.#ctx;
    const running = registry
      .usersOf(name)
      .filter((id) => registry.all().some((one) => one.id === id && one.active));
    if (running.length > 0 && !force)
      throw new BerthError(
        'conflict',
        `restore ${name}: volume is in use - [${running.join(', ')}]: stop them, or force it`,
      );
    const { created } = await volumes.create({ name });
    try {
      await volumes.restore(name, tar, signal);
    } catch (error) {
      // Someone may have come to use it meanwhile.
      if (created) await volumes.remove(name, true).catch(() => {});
      throw error;
    }
    if (created) events.publish(volumeEvent('create', name));
    events.publish(volumeEvent('restore', name));
  }
}
