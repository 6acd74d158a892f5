// What the parts of the engine share.

import { BerthError, type Config, type Driver, type ImageStore, type Isolation } from '../core/index.ts';
import type { WorkloadGroup } from '../host/index.ts';
import type { Networking } from '../network/index.ts';
import type { VolumeStore } from '../volumes/index.ts';
import type { EventLog } from './events.ts';
import type { StartCounter } from './figures/starts.ts';
import type { WorkloadRecord } from './records.ts';
import type { Registry } from './registry.ts';
import type { Trash } from './trash.ts';

export interface EngineContext {
  /** Folder of the workloads' folders. */
  readonly workloadsDir: string;
  readonly workloadGroup: WorkloadGroup;
  readonly drivers: ReadonlyMap<Isolation, Driver>;
  readonly images: ImageStore;
  readonly events: EventLog;
  readonly volumes: VolumeStore;
  readonly networking: Networking;
  readonly config: () => Config;
  readonly registry: Registry;
  readonly trash: Trash;
  readonly starts: StartCounter;
  /** Aborted when the engine lets go: nothing may be started or written from then on. */
  readonly closing: AbortSignal;
  /** For what nobody waits for and nobody else can be told of. */
  readonly log: (line: string) => void;
  /** Does `work` beside everything else; `close` waits for it, a failure is logged with `what` before it. */
  background(what: string, work: () => Promise<void>): void;
  /** As `background`, for work that `closing` does not cut short: `close` gives it time to leave nothing half done. */
  cleanUp(what: string, work: () => Promise<void>): void;
}

/** The driver of a workload. Fails with `unsupported` when this daemon has none for its isolation. */
export function driverOf(ctx: EngineContext, { name, spec }: Pick<WorkloadRecord, 'name' | 'spec'>): Driver {
  const driver = ctx.drivers.get(spec.isolation);
  if (driver !== undefined) return driver;
  throw new BerthError(
    'unsupported',
    `container ${name}: this daemon has no driver for isolation ${spec.isolation}`,
  );
}
