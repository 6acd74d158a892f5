// What the routes speak to.

import type { Compare } from '../../compare/index.ts';
import type { ImageStore } from '../../core/index.ts';
import type { Engine } from '../../engine/api.ts';
import type { ConfigStore } from '../../engine/index.ts';

export interface Services {
  readonly engine: Engine;
  readonly images: ImageStore;
  readonly compare: Compare;
  readonly config: ConfigStore;
  /** Where the daemon keeps its state; `info` shows it. */
  readonly root: string;
  /** Berth's own version. */
  readonly version: string;
}

/** Tells the world of an image, as Docker does. */
export function publishImage(services: Services, action: string, id: string, name: string): void {
  services.engine.events.publish({ type: 'image', action, actor: { id, attributes: { name } } });
}
