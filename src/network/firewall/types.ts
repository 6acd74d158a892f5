// What the firewall is told: the networks and workloads that exist, in its own words.

import type { Policy } from './policy.ts';

export interface FirewallNetwork {
  readonly id: string;
  readonly name: string;
  readonly bridge: string;
  /** At most one of each family. */
  readonly subnets: readonly string[];
  /** The bridge's own addresses. */
  readonly gateways: readonly string[];
  /** No way out and none in but for its own members. */
  readonly internal: boolean;
  /** What leaves by another interface carries that interface's address. */
  readonly masquerade: boolean;
  /** The port of each gateway that the name service listens on. */
  readonly namePorts?: Readonly<Record<string, number>>;
  readonly policy?: Policy;
}

export interface FirewallEndpoint {
  readonly bridge: string;
  /** The host's end. */
  readonly port: string;
  readonly mac: string;
  /** Without prefix length. Nothing else may be a source. */
  readonly addresses: readonly string[];
  readonly rate?: Rate;
}

/** As the workload sees it: in is what it receives. */
export interface Rate {
  readonly inBytesPerSecond?: number;
  readonly outBytesPerSecond?: number;
}

export interface PublishedPort {
  readonly protocol: 'tcp' | 'udp';
  /** Of the host; empty, 0.0.0.0 and :: are all its addresses of the family of `address`. */
  readonly hostAddress: string;
  readonly hostPort: number;
  /** Of the workload. */
  readonly address: string;
  readonly port: number;
}

export interface FirewallWorkload {
  readonly id: string;
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly endpoints: readonly FirewallEndpoint[];
  readonly published: readonly PublishedPort[];
  readonly policy?: Policy;
}

export function addressesOf({ endpoints }: FirewallWorkload): string[] {
  return endpoints.flatMap(({ addresses }) => addresses);
}

/** Of a client on a network, for a name in lower case without a final dot. */
export interface NameQuestion {
  readonly networkId: string;
  readonly client: string;
  readonly name: string;
}

export interface ResolvedAddress {
  readonly address: string;
  readonly ttlSeconds: number;
}
