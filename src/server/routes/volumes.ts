// Named volumes.

import { BerthError } from '../../core/index.ts';
import type { Volume } from '../../engine/api.ts';
import {
  booleanFilter,
  Fields,
  type Filters,
  given,
  matchesLabels,
  parseBytes,
  readFilters,
} from '../../wire/index.ts';
import { readJson } from '../http/body.ts';
import type { Call } from '../http/call.ts';
import { sendEmpty, sendJson, sendStream } from '../http/respond.ts';
import type { Route } from '../http/router.ts';
import type { Services } from './services.ts';

const ARCHIVE = '/berth/v1/volumes/{}/archive';
const LIST_FILTERS = ['name', 'label', 'dangling', 'driver'];
const PRUNE_FILTERS = ['all', 'label', 'label!'];

export function volumeRoutes(services: Services): readonly Route[] {
  const { volumes } = services.engine;
  return [
    { method: 'GET', path: '/volumes', handle: (call) => list(services, call) },
    { method: 'POST', path: '/volumes/create', handle: (call) => create(services, call) },
    { method: 'POST', path: '/volumes/prune', handle: (call) => prune(services, call) },
    {
      method: 'GET',
      path: '/volumes/{}',
      handle: (call) => inspect(services, call),
    },
    {
      method: 'GET',
      path: ARCHIVE,
      handle: (call) => sendStream(call, 'application/x-tar', volumes.archives.backup(call.param())),
    },
    {
      method: 'PUT',
      path: ARCHIVE,
      handle: async (call) => {
        const { request, signal } = call;
        await volumes.archives.restore(call.param(), request, { force: call.flag('force'), signal });
        sendEmpty(call);
      },
    },
    {
      method: 'DELETE',
      path: '/volumes/{}',
      handle: async (call) => {
        await volumes.remove(call.param(), { force: call.flag('force') });
        sendEmpty(call);
      },
    },
  ];
}

export function toVolumeJson({ name, mountpoint, createdAt, labels, anonymous, options }: Volume) {
  return {
    CreatedAt: createdAt,
    Driver: 'local',
    Labels: orNull(shownLabels({ labels, anonymous })),
    Mountpoint: mountpoint,
    Name: name,
    Options: orNull(options),
    Scope: 'local',
  };
}

function shownLabels({ labels, anonymous }: Pick<Volume, 'labels' | 'anonymous'>): Volume['labels'] {
  return anonymous ? { 'com.docker.volume.anonymous': '', ...labels } : labels;
}

function matchesLabelFilters(filters: Filters, volume: Volume): boolean {
  const labels = shownLabels(volume);
  return (
    matchesLabels(filters.get('label') ?? [], labels) &&
    !(filters.get('label!') ?? []).some((entry) => matchesLabels([entry], labels))
  );
}

function orNull(labels: Volume['labels']): Volume['labels'] | null {
  return Object.keys(labels).length === 0 ? null : labels;
}

/** Names of the volumes that workloads use, and how many use each. */
export function volumeUses({ engine }: Services): ReadonlyMap<string, number> {
  const uses = new Map<string, number>();
  for (const { mounts } of engine.workloads.list())
    for (const { name } of mounts) if (name !== undefined) uses.set(name, (uses.get(name) ?? 0) + 1);
  return uses;
}

function list(services: Services, call: Call): void {
  const filters = readFilters(call.query.get('filters'), LIST_FILTERS);
  const dangling = booleanFilter(filters, 'dangling');
  const names = filters.get('name');
  const drivers = filters.get('driver');
  const uses = volumeUses(services);
  const found = services.engine.volumes
    .list()
    .filter(
      (volume) =>
        (names === undefined || names.some((name) => volume.name.includes(name))) &&
        (drivers === undefined || drivers.includes('local')) &&
        matchesLabelFilters(filters, volume) &&
        (dangling === undefined || dangling !== uses.has(volume.name)),
    );
  sendJson(call, { Volumes: found.map(toVolumeJson), Warnings: null });
}

async function inspect({ engine }: Services, call: Call): Promise<void> {
  const volume = engine.volumes.get(call.param());
  const { sizeBytes } = volume;
  if (sizeBytes === undefined) return sendJson(call, toVolumeJson(volume));
  const UsedBytes = await engine.volumes.usageBytes(volume.name);
  sendJson(call, { ...toVolumeJson(volume), Status: { SizeBytes: sizeBytes, UsedBytes } });
}

async function create({ engine }: Services, call: Call): Promise<void> {
  const fields = new Fields(await readJson(call));
  const driver = fields.string('Driver') || 'local';
  if (driver !== 'local')
    throw new BerthError('not-found', `volume driver ${driver} not found: the only one is local`);
  const options = fields.map('DriverOpts') ?? {};
  const unknown = Object.keys(options).filter((option) => option !== 'size');
  if (unknown.length > 0)
    throw new BerthError(
      'unsupported',
      `volume options (${unknown.join(', ')}) are not supported, only size is: use a bind mount for a folder of the host, --tmpfs for memory`,
    );
  const { size } = options;
  const volume = await engine.volumes.create({
    ...given('name', fields.string('Name') || undefined),
    ...given('labels', fields.map('Labels')),
    options,
    ...given('sizeBytes', size === undefined ? undefined : parseBytes('volume size', size)),
  });
  sendJson(call, toVolumeJson(volume), 201);
}

async function prune({ engine }: Services, call: Call): Promise<void> {
  const filters = readFilters(call.query.get('filters'), PRUNE_FILTERS);
  // Before API 1.42 Docker removed named volumes as well.
  const all = booleanFilter(filters, 'all') ?? !call.atLeast('1.42');
  const { removed, reclaimedBytes } = await engine.volumes.prune({
    all,
    matches: (volume) => matchesLabelFilters(filters, volume),
  });
  sendJson(call, { VolumesDeleted: removed.length === 0 ? null : removed, SpaceReclaimed: reclaimedBytes });
}
