// Networks.

import type { Network } from '../../core/index.ts';
import { isPredefined } from '../../network/index.ts';
import {
  booleanFilter,
  Fields,
  type Filters,
  fromEndpoint,
  matchesLabels,
  readFilters,
  readNetworkConnect,
  readNetworkCreate,
} from '../../wire/index.ts';
import { readJson } from '../http/body.ts';
import type { Call } from '../http/call.ts';
import { sendEmpty, sendJson } from '../http/respond.ts';
import type { Route } from '../http/router.ts';
import { untilMoment } from '../translate/container-filters.ts';
import { membersOf, toNetworkJson, toNetworkOptions } from '../translate/network-json.ts';
import type { Services } from './services.ts';

const LIST_FILTERS = ['name', 'id', 'driver', 'type', 'scope', 'label', 'dangling'];
const PRUNE_FILTERS = ['label', 'label!', 'until'];

export function networkRoutes(services: Services): readonly Route[] {
  const { networks, workloads } = services.engine;
  return [
    { method: 'GET', path: '/networks', handle: (call) => list(services, call) },
    { method: 'POST', path: '/networks/create', handle: (call) => create(services, call) },
    { method: 'POST', path: '/networks/prune', handle: (call) => prune(services, call) },
    {
      method: 'GET',
      path: '/networks/{}',
      handle: (call) => {
        const network = networks.get(call.param());
        sendJson(call, toNetworkJson(network, membersOf(network, workloads.list())));
      },
    },
    { method: 'POST', path: '/networks/{}/connect', handle: (call) => connect(services, call) },
    { method: 'POST', path: '/networks/{}/disconnect', handle: (call) => disconnect(services, call) },
    {
      method: 'DELETE',
      path: '/networks/{}',
      handle: async (call) => {
        await networks.remove(call.param());
        sendEmpty(call);
      },
    },
  ];
}

function list({ engine }: Services, call: Call): void {
  const filters = readFilters(call.query.get('filters'), LIST_FILTERS);
  const dangling = booleanFilter(filters, 'dangling');
  const inUse = new Set(
    engine.workloads.list().flatMap(({ endpoints }) => endpoints.map((on) => on.networkId)),
  );
  const found = engine.networks
    .list()
    .filter(
      (network) =>
        passes(network, filters) &&
        (dangling === undefined || dangling !== (inUse.has(network.id) || isPredefined(network))),
    );
  sendJson(
    call,
    found.map((network) => toNetworkJson(network)),
  );
}

function passes(network: Network, filters: Filters): boolean {
  const any = (filter: string, test: (value: string) => boolean) => filters.get(filter)?.some(test) ?? true;
  return (
    any('name', (value) => network.name.includes(value)) &&
    any('id', (value) => network.id.startsWith(value)) &&
    any('driver', (value) => network.driver === value) &&
    any('scope', (value) => value === 'local') &&
    any('type', (value) => value === (isPredefined(network) ? 'builtin' : 'custom')) &&
    matchesLabels(filters.get('label') ?? [], network.labels)
  );
}

async function create({ engine }: Services, call: Call): Promise<void> {
  const request = readNetworkCreate(await readJson(call));
  const network = await engine.networks.create(toNetworkOptions(request));
  sendJson(call, { Id: network.id, Warning: '' }, 201);
}

async function connect({ engine }: Services, call: Call): Promise<void> {
  const { Container, EndpointConfig } = readNetworkConnect(await readJson(call));
  await engine.networks.connect(call.param(), Container, fromEndpoint(EndpointConfig));
  sendEmpty(call, 200);
}

async function disconnect({ engine }: Services, call: Call): Promise<void> {
  const fields = new Fields(await readJson(call));
  await engine.networks.disconnect(call.param(), fields.string('Container') ?? '');
  sendEmpty(call, 200);
}

async function prune({ engine }: Services, call: Call): Promise<void> {
  const filters = readFilters(call.query.get('filters'), PRUNE_FILTERS);
  const moments = (filters.get('until') ?? []).map(untilMoment);
  const removed = await engine.networks.prune(
    ({ labels, createdAt }) =>
      matchesLabels(filters.get('label') ?? [], labels) &&
      !(filters.get('label!') ?? []).some((value) => matchesLabels([value], labels)) &&
      moments.every((moment) => BigInt(Date.parse(createdAt)) * 1_000_000n < moment),
  );
  sendJson(call, { NetworksDeleted: removed.length === 0 ? null : removed });
}
