// Endpoints of workloads in the words of those who make them: the supervisors' interfaces and the firewall's rules. Pure.

import type { Endpoint, EndpointSpec, Network } from '../core/index.ts';
import { familyOf, parseSubnet } from './address.ts';
import { addressesOf } from './addresses.ts';
import { type FirewallWorkload, type Policy, parsePolicy } from './firewall/index.ts';
import type { Member } from './member.ts';
import type { NetworkStore } from './store.ts';

export function portOf({ id }: Endpoint): string {
  return `be${id.slice(0, 11)}`;
}

export function freeName(taken: readonly Endpoint[]): string {
  for (let number = 0; ; number++)
    if (!taken.some((endpoint) => endpoint.interface === `eth${number}`)) return `eth${number}`;
}

export function toSpec(
  endpoint: Endpoint,
  network: Network,
  mtu: number,
  defaultRoute: boolean,
): EndpointSpec {
  const places = addressesOf(endpoint).flatMap((address) => {
    const subnet = network.subnets.find((entry) => parseSubnet(entry.subnet).family === familyOf(address));
    return subnet === undefined
      ? []
      : [{ address: `${address}/${subnet.subnet.split('/')[1]}`, gateway: subnet.gateway }];
  });
  return {
    ...{ name: endpoint.interface, port: portOf(endpoint), bridge: network.bridge, mac: endpoint.mac, mtu },
    addresses: places.map(({ address }) => address),
    gateways: places.map(({ gateway }) => gateway),
    defaultRoute,
  };
}

export function policyOf({ policy }: { readonly policy?: string }): { readonly policy?: Policy } {
  return policy === undefined ? {} : { policy: parsePolicy(policy) };
}

export function toFirewall(member: Member, store: NetworkStore): FirewallWorkload {
  const { id, name, labels, endpoints, published, rate } = member;
  const [main] = endpoints;
  return {
    ...{ id, name, labels },
    ...policyOf(member),
    endpoints: endpoints.map((endpoint) => ({
      bridge: store.find(endpoint.networkId)?.bridge ?? '',
      ...{ port: portOf(endpoint), mac: endpoint.mac },
      ...(rate === undefined ? {} : { rate }),
      addresses: addressesOf(endpoint),
    })),
    published: published.flatMap(({ protocol, hostAddress, hostPort, port }) => {
      const address = familyOf(hostAddress) === 6 ? main?.ipv6 : main?.ipv4;
      return address === undefined ? [] : [{ protocol, hostAddress, hostPort, address, port }];
    }),
  };
}

/** Turns a map by port into one by the name of the port's interface inside the workload. */
export function byInterface<T>(
  endpoints: readonly Endpoint[],
  ofPorts: ReadonlyMap<string, T>,
): ReadonlyMap<string, T> {
  return new Map(
    endpoints.flatMap((endpoint) => {
      const found = ofPorts.get(portOf(endpoint));
      return found === undefined ? [] : [[endpoint.interface, found] as const];
    }),
  );
}
