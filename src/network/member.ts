// A workload as networks see it.

import type { Endpoint, NetworkRate, PublishedPort } from '../core/index.ts';

export interface Member {
  readonly id: string;
  readonly name: string;
  readonly hostname: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly endpoints: readonly Endpoint[];
  readonly published: readonly PublishedPort[];
  readonly rate?: NetworkRate;
  readonly policy?: string;
  /** Addresses of servers that it asks about names outside, instead of the host's. */
  readonly dns?: readonly string[];
}
