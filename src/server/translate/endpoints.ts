// NetworkSettings of a workload: its places in networks.

import type { Endpoint, Network, WorkloadView } from '../../core/index.ts';
import type { Networks } from '../../engine/api.ts';
import { BUILT_IN } from '../../network/index.ts';
import { given } from '../../wire/index.ts';
import { isUp } from './publishing.ts';

/** Network of a mode that gives no endpoint: none or host. */
function builtIn({ spec }: WorkloadView): Network | undefined {
  return BUILT_IN.find(({ name }) => name === spec.networkMode);
}

/** Names and ids of the networks that the workload is on. */
export function networkNamesOf(view: WorkloadView): readonly string[] {
  const fixed = builtIn(view);
  if (fixed !== undefined) return [fixed.name, fixed.id];
  return view.endpoints.flatMap(({ networkName, networkId }) => [networkName, networkId]);
}

export function toEndpointJson(view: WorkloadView, endpoint: Endpoint, network: Network) {
  const up = isUp(view);
  const subnet = (family: ':' | '.') => network.subnets.find(({ gateway }) => gateway.includes(family));
  const prefix = (family: ':' | '.') => Number(subnet(family)?.subnet.split('/')[1] ?? 0);
  const { ipv4, ipv6, aliases } = endpoint;
  return {
    IPAMConfig: endpoint.fixed
      ? { ...(ipv4 && { IPv4Address: ipv4 }), ...(ipv6 && { IPv6Address: ipv6 }) }
      : null,
    Links: null,
    Aliases: aliases.length === 0 ? null : aliases,
    MacAddress: up ? endpoint.mac : '',
    DriverOpts: null,
    GwPriority: 0,
    NetworkID: network.id,
    EndpointID: up ? endpoint.id : '',
    Gateway: up && ipv4 !== undefined && !network.internal ? (subnet('.')?.gateway ?? '') : '',
    IPAddress: up ? (ipv4 ?? '') : '',
    IPPrefixLen: up && ipv4 !== undefined ? prefix('.') : 0,
    IPv6Gateway: up && ipv6 !== undefined && !network.internal ? (subnet(':')?.gateway ?? '') : '',
    GlobalIPv6Address: up ? (ipv6 ?? '') : '',
    GlobalIPv6PrefixLen: up && ipv6 !== undefined ? prefix(':') : 0,
    DNSNames: [view.name, ...aliases, view.id.slice(0, 12)],
  };
}

type EndpointJson = ReturnType<typeof toEndpointJson>;

export const NOWHERE: Omit<EndpointJson, 'NetworkID'> = {
  ...{ IPAMConfig: null, Links: null, Aliases: null, MacAddress: '', DriverOpts: null, GwPriority: 0 },
  ...{ EndpointID: '', Gateway: '', IPAddress: '', IPPrefixLen: 0, IPv6Gateway: '', GlobalIPv6Address: '' },
  ...{ GlobalIPv6PrefixLen: 0, DNSNames: [] },
};

/** NetworkSettings.Networks */
export function networksOf(
  view: WorkloadView,
  networks: Networks,
  counters?: ReadonlyMap<string, object>,
): Readonly<
  Record<string, Omit<EndpointJson, 'DNSNames'> & { readonly DNSNames: readonly string[] | null }>
> {
  const fixed = builtIn(view);
  if (fixed !== undefined) return { [fixed.name]: { ...NOWHERE, DNSNames: null, NetworkID: fixed.id } };
  const known = new Map(networks.list().map((network) => [network.id, network]));
  return Object.fromEntries(
    view.endpoints.flatMap((endpoint) => {
      const network = known.get(endpoint.networkId);
      if (network === undefined) return [];
      const json = toEndpointJson(view, endpoint, network);
      // Not Docker's; only when it was asked for.
      return [[network.name, { ...json, ...given('Counters', counters?.get(endpoint.interface)) }] as const];
    }),
  );
}
