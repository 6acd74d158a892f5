// Networks: Docker's JSON <-> the engine's.

import { BerthError, type Network, type WorkloadView } from '../../core/index.ts';
import type { CreateNetworkOptions } from '../../network/index.ts';
import { given, type NetworkCreateRequest } from '../../wire/index.ts';
import { policyOf } from './network-labels.ts';
import { isUp } from './publishing.ts';

const MTU = 'com.docker.network.driver.mtu';
const BRIDGE = 'com.docker.network.bridge.name';
/** What these say is so anyway, or may be said without effect. */
const UNDERSTOOD = [
  MTU,
  BRIDGE,
  'com.docker.network.bridge.enable_icc',
  'com.docker.network.bridge.enable_ip_masquerade',
  'com.docker.network.enable_ipv6',
];

/** Fails with `unsupported` or `invalid-argument`, naming the option. */
export function toNetworkOptions(request: NetworkCreateRequest): CreateNetworkOptions {
  const { Options } = request;
  if (request.Driver !== '' && request.Driver !== 'bridge')
    throw new BerthError('not-found', `network driver ${request.Driver} not found: the only one is bridge`);
  if (request.IpamDriver !== '' && request.IpamDriver !== 'default')
    throw new BerthError('unsupported', `IPAM driver ${request.IpamDriver} is not supported: leave it out`);
  const unknown = Object.keys(Options).find((name) => !UNDERSTOOD.includes(name));
  if (unknown !== undefined)
    throw new BerthError(
      'unsupported',
      `network option ${unknown} is not supported: there are ${UNDERSTOOD.slice(0, 2).join(' and ')}`,
    );
  for (const name of UNDERSTOOD.slice(2, 4))
    if (Options[name] !== undefined && Options[name] !== 'true')
      throw new BerthError(
        'unsupported',
        `network option ${name} cannot be ${Options[name]}: use --internal or a policy (berth policy) instead`,
      );
  return {
    name: request.Name,
    subnets: request.Config.filter(({ Subnet, Gateway, IPRange }) => Subnet || Gateway || IPRange).map(
      ({ Subnet, Gateway, IPRange }) => ({
        ...given('subnet', Subnet || undefined),
        ...given('gateway', Gateway || undefined),
        ...given('range', IPRange || undefined),
      }),
    ),
    ipv6: request.EnableIPv6,
    internal: request.Internal,
    labels: request.Labels,
    options: Options,
    ...given('bridge', bridgeName(Options[BRIDGE])),
    ...given('mtu', mtuOf(Options[MTU])),
    ...policyOf(request.Labels),
  };
}

/** IFNAMSIZ less one; neither / nor space may be in it, and settings of the kernel have two of the names. */
function bridgeName(text: string | undefined): string | undefined {
  if (text === undefined) return undefined;
  if (/^[a-zA-Z0-9][\w.-]{0,14}$/.test(text) && text !== 'all' && text !== 'default') return text;
  throw new BerthError(
    'invalid-argument',
    `${BRIDGE} ${text} is no name of an interface: at most 15 letters, and neither all nor default`,
  );
}

function mtuOf(text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  // RFC 8200 section 5 wants 1280 for IPv6; RFC 791 576 for IPv4.
  if (/^\d+$/.test(text) && Number(text) >= 576 && Number(text) <= 65535) return Number(text);
  throw new BerthError('invalid-argument', `${MTU} ${text} is not a number from 576 to 65535`);
}

/** Its members are told by `inspect` only, as Docker does. */
export function toNetworkJson(network: Network, members?: readonly WorkloadView[]) {
  return {
    Name: network.name,
    Id: network.id,
    Created: network.createdAt,
    Scope: 'local',
    Driver: network.driver,
    EnableIPv4: true,
    EnableIPv6: network.subnets.some(({ gateway }) => gateway.includes(':')),
    IPAM: {
      Driver: 'default',
      Options: null,
      Config: network.subnets.map(({ subnet, gateway, range }) => ({
        ...{ Subnet: subnet, Gateway: gateway },
        ...given('IPRange', range),
      })),
    },
    Internal: network.internal,
    Attachable: false,
    Ingress: false,
    ConfigFrom: { Network: '' },
    ConfigOnly: false,
    Containers: Object.fromEntries((members ?? []).map((view) => [view.id, toMember(network, view)])),
    Options: network.driver === 'bridge' ? { ...network.options, [BRIDGE]: network.bridge } : {},
    Labels: network.labels,
  };
}

function toMember(network: Network, view: WorkloadView) {
  const endpoint = view.endpoints.find(({ networkId }) => networkId === network.id);
  const withPrefix = (address: string | undefined) => {
    const subnet = network.subnets.find(({ gateway }) => gateway.includes(':') === address?.includes(':'));
    return address === undefined ? '' : `${address}/${subnet?.subnet.split('/')[1]}`;
  };
  return {
    Name: view.name,
    EndpointID: endpoint?.id ?? '',
    MacAddress: endpoint?.mac ?? '',
    IPv4Address: withPrefix(endpoint?.ipv4),
    IPv6Address: withPrefix(endpoint?.ipv6),
  };
}

/** Those that run on it. */
export function membersOf(network: Network, views: readonly WorkloadView[]): readonly WorkloadView[] {
  const isOn = (view: WorkloadView) =>
    network.driver === 'bridge'
      ? view.endpoints.some(({ networkId }) => networkId === network.id)
      : view.spec.networkMode === network.name;
  return views.filter((view) => isUp(view) && isOn(view));
}
