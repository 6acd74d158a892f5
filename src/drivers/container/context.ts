// What all containers of a driver share.

import type { Instance, InstanceSpec } from '../../core/index.ts';
import type { Identity } from '../../guest/index.ts';
import type { HostTraits } from './config.ts';
import type { OciSeccomp } from './seccomp.ts';

export interface DriverContext {
  readonly shimPath: string;
  /** The file of the OCI runtime in use; found by probing on first use. */
  runtimePath(): Promise<string>;
  readonly traits: HostTraits;
  /** The compiled form of a filter if this runtime takes one and it is at hand. */
  compiled(filter: OciSeccomp): string | undefined;
  /** Identities of images' users, by image and user: layers never change. */
  readonly identities: Map<string, Identity>;
  /** Kills and removes what a supervisor that died left behind. */
  sweep(spec: InstanceSpec): Promise<void>;
  /** The instance is gone for good. */
  forget(instance: Instance): Promise<void>;
}
