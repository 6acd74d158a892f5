// The networks that exist: none (loopback only) and host. Ids are those of their names, so that they never change.

import { createHash } from 'node:crypto';
import type { WorkloadView } from '../../core/index.ts';

export interface FixedNetwork {
  readonly name: 'none' | 'host';
  readonly driver: string;
  readonly id: string;
}

const idOf = (name: string) => createHash('sha256').update(`berth network ${name}`).digest('hex');

export const NETWORKS: readonly FixedNetwork[] = [
  { name: 'host', driver: 'host', id: idOf('host') },
  { name: 'none', driver: 'null', id: idOf('none') },
];

/** The network that a workload is on. */
export function networkOf(view: WorkloadView): FixedNetwork {
  const name = view.spec.networkMode === 'host' ? 'host' : 'none';
  return NETWORKS.find((network) => network.name === name) ?? { name, driver: 'null', id: idOf(name) };
}

/** NetworkSettings.Networks of a workload. */
export function networksOf(view: WorkloadView) {
  const network = networkOf(view);
  return {
    [network.name]: {
      IPAMConfig: null,
      Links: null,
      Aliases: null,
      MacAddress: '',
      DriverOpts: null,
      GwPriority: 0,
      NetworkID: network.id,
      EndpointID: '',
      Gateway: '',
      IPAddress: '',
      IPPrefixLen: 0,
      IPv6Gateway: '',
      GlobalIPv6Address: '',
      GlobalIPv6PrefixLen: 0,
      DNSNames: null,
    },
  };
}
