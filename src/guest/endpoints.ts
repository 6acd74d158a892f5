// What an instance is plugged into, in the words of the protocol (docs/guest-protocol.md, shim/endpoint.c).

import type { EndpointSpec, Networking, RunNetwork } from '../core/index.ts';
import type { ShimClient } from './shim-client.ts';

export function formatEndpoint(endpoint: EndpointSpec): string {
  const list = (addresses: readonly string[]) => (addresses.length === 0 ? '-' : addresses.join(','));
  const { name, port, bridge, mac, mtu, addresses, gateways, defaultRoute } = endpoint;
  const words = [
    name,
    port,
    bridge,
    mac,
    mtu,
    defaultRoute ? 'default' : '-',
    list(addresses),
    list(gateways),
  ];
  return words.join(' ');
}

/** Fields of `start` for the network of a run. */
export function networkFields(network: RunNetwork | undefined) {
  return { endpoint: network?.endpoints.map(formatEndpoint) ?? [], join_network: network?.joinPid };
}

/**
 * The text of resolv.conf: the servers of its networks, which ask the workload's own if it names any; those themselves
 * where there is no network, or where they are inside. Names without a dot are asked for as they are first: else the
 * names of workloads would be told to the servers of the search domains, and might be answered there.
 */
export function resolvConf(dns: readonly string[], network: RunNetwork | undefined): string {
  const { nameservers, searches } = network ?? { nameservers: [], searches: [] };
  const isInside = dns.some((server) => server.startsWith('127.') || server === '::1');
  const servers = nameservers.length === 0 || isInside ? dns : nameservers;
  const lines = [
    ...(searches.length === 0 ? [] : [`search ${searches.join(' ')}`]),
    ...servers.map((server) => `nameserver ${server}`),
    ...(searches.length === 0 ? [] : ['options ndots:0']),
  ];
  return lines.length === 0 ? '# No network: no name server.\n' : `${lines.join('\n')}\n`;
}

/** By the supervisor of the run that `client` gives, or fails for. */
export function networkingOf(client: () => ShimClient): Networking {
  return {
    async plug(endpoint) {
      await client().ask('plug', { endpoint: formatEndpoint(endpoint) });
    },
    async unplug(name) {
      await client().ask('unplug', { name });
    },
  };
}
