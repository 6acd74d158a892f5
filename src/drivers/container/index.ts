// Containers: an OCI runtime (crun, else runc) starts them on an overlay of image layers, and a shim supervises each.
// Owns the translation of a spec into a runtime configuration, its security defaults included, and what a container
// has in cgroups and in its folder. Never knows images, names or users' requests, and never another isolation.
// Invariant: whatever dies in between, the shim's files tell the exit status, and nothing outlives `remove`.

import type { Driver } from '../../core/index.ts';
import { ContainerDriver, type ContainerDriverOptions } from './driver.ts';

export type { ContainerDriverOptions } from './driver.ts';

export function createContainerDriver(options: ContainerDriverOptions): Driver {
  return new ContainerDriver(options);
}
