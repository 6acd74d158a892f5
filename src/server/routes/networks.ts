// Networks: the two that always exist. Making others is refused until there are bridges.

import { BerthError } from '../../core/index.ts';
import { readFilters } from '../../wire/index.ts';
import type { Call } from '../http/call.ts';
import { HttpError } from '../http/errors.ts';
import { sendJson } from '../http/respond.ts';
import type { Route } from '../http/router.ts';
import { type FixedNetwork, NETWORKS, networkOf } from '../translate/endpoints.ts';
import type { Services } from './services.ts';

const FILTERS = ['name', 'id', 'driver', 'type', 'scope', 'label', 'dangling'];
const CREATED = '1970-01-01T00:00:00Z';

export function networkRoutes(services: Services): readonly Route[] {
  return [
    { method: 'GET', path: '/networks', handle: (call) => list(services, call) },
    { method: 'POST', path: '/networks/create', handle: refuse },
    {
      method: 'POST',
      path: '/networks/prune',
      handle: (call) => sendJson(call, { NetworksDeleted: null }),
    },
    {
      method: 'GET',
      path: '/networks/{}',
      handle: (call) => sendJson(call, toNetworkJson(services, find(call.param()), true)),
    },
    { method: 'POST', path: '/networks/{}/connect', handle: refuse },
    { method: 'POST', path: '/networks/{}/disconnect', handle: refuse },
    {
      method: 'DELETE',
      path: '/networks/{}',
      handle: (call) => {
        const { name } = find(call.param());
        throw new HttpError(403, `${name} is a pre-defined network and cannot be removed`);
      },
    },
  ];
}

function refuse(): void {
  throw new BerthError(
    'unsupported',
    'networks cannot be made or joined in this version: the networks none and host exist',
  );
}

function find(reference: string): FixedNetwork {
  const network = NETWORKS.find(({ name, id }) => name === reference || id.startsWith(reference));
  if (network === undefined) throw new BerthError('not-found', `network ${reference} not found`);
  return network;
}

function list(services: Services, call: Call): void {
  const filters = readFilters(call.query.get('filters'), FILTERS);
  const passes = ({ name, id, driver }: FixedNetwork) =>
    [...filters].every(([filter, values]) => {
      if (filter === 'name') return values.some((value) => name.includes(value));
      if (filter === 'id') return values.some((value) => id.startsWith(value));
      if (filter === 'driver') return values.includes(driver);
      if (filter === 'scope') return values.includes('local');
      if (filter === 'type') return values.includes('builtin');
      return filter === 'dangling' && !values.includes('true');
    });
  sendJson(
    call,
    NETWORKS.filter(passes).map((network) => toNetworkJson(services, network, false)),
  );
}

function toNetworkJson({ engine }: Services, network: FixedNetwork, withMembers: boolean) {
  const members = engine.workloads
    .list()
    .filter((view) => view.state === 'running' && networkOf(view).id === network.id)
    .map((view) => [
      view.id,
      { Name: view.name, EndpointID: '', MacAddress: '', IPv4Address: '', IPv6Address: '' },
    ]);
  return {
    Name: network.name,
    Id: network.id,
    Created: CREATED,
    Scope: 'local',
    Driver: network.driver,
    EnableIPv4: true,
    EnableIPv6: false,
    IPAM: { Driver: 'default', Options: null, Config: [] },
    Internal: false,
    Attachable: false,
    Ingress: false,
    ConfigFrom: { Network: '' },
    ConfigOnly: false,
    Containers: withMembers ? Object.fromEntries(members) : {},
    Options: {},
    Labels: {},
  };
}
