// Listing, making, describing and removing workloads.

import { BerthError, type FileChange, isBerthError, type WorkloadView } from '../../core/index.ts';
import { formatPlatform, parsePlatform, suits } from '../../images/platform.ts';
import { readCreate, readFilters, readUpdate } from '../../wire/index.ts';
import { readJson } from '../http/body.ts';
import type { Call } from '../http/call.ts';
import { sendEmpty, sendJson } from '../http/respond.ts';
import type { Route } from '../http/router.ts';
import {
  containerFilter,
  type FilterContext,
  PRUNE_FILTERS,
  PS_FILTERS,
} from '../translate/container-filters.ts';
import { toWorkloadSpec } from '../translate/create-spec.ts';
import { type Sizes, toInspect } from '../translate/inspect.ts';
import { toLimits, toRestart } from '../translate/resources.ts';
import { toSummary } from '../translate/summary.ts';
import type { Services } from './services.ts';

export function containerRoutes(services: Services): readonly Route[] {
  return [
    { method: 'GET', path: '/containers/json', handle: (call) => list(services, call) },
    { method: 'POST', path: '/containers/create', handle: (call) => create(services, call) },
    { method: 'POST', path: '/containers/prune', handle: (call) => prune(services, call) },
    { method: 'GET', path: '/containers/{}/json', handle: (call) => inspect(services, call) },
    { method: 'POST', path: '/containers/{}/rename', handle: (call) => rename(services, call) },
    { method: 'POST', path: '/containers/{}/update', handle: (call) => update(services, call) },
    { method: 'GET', path: '/containers/{}/changes', handle: (call) => changes(services, call) },
    { method: 'DELETE', path: '/containers/{}', handle: (call) => remove(services, call) },
  ];
}

async function list(services: Services, call: Call): Promise<void> {
  const { workloads } = services.engine;
  const filters = readFilters(call.query.get('filters'), PS_FILTERS);
  const passes = containerFilter(filters, await filterContext(services, filters.get('ancestor') ?? []));
  const limit = Math.max(call.integer('limit') ?? 0, 0);
  // As in Docker, asking for the last n or for a state asks for stopped ones as well.
  const all = call.flag('all') || limit > 0 || ['status', 'exited'].some((name) => filters.has(name));
  const views = workloads.list().filter((view) => (all || isUp(view)) && passes(view));
  const chosen = limit > 0 ? views.slice(0, limit) : views;
  const now = Date.now();
  const withSize = call.flag('size');
  const lines = chosen.map(async (view) =>
    toSummary(view, services.engine.networks, now, withSize ? await sizesOf(services, view) : undefined),
  );
  sendJson(call, await Promise.all(lines));
}

function isUp(view: WorkloadView): boolean {
  return view.state === 'running' || view.state === 'paused' || view.restarting;
}

/** Unknown images match no workload: that is an answer, not an error. */
async function filterContext(
  { engine, images }: Services,
  ancestors: readonly string[],
): Promise<FilterContext> {
  const imageIds = new Set<string>();
  for (const reference of ancestors) {
    try {
      imageIds.add((await images.get(reference)).id);
    } catch (error) {
      if (!isBerthError(error, 'not-found') && !isBerthError(error, 'invalid-argument')) throw error;
    }
  }
  return { find: (reference) => engine.workloads.get(reference), imageIds };
}

export async function sizesOf({ engine, images }: Services, view: WorkloadView): Promise<Sizes> {
  const writable = await engine.workloads.writableBytes(view.id);
  const image = await images.get(view.imageId).catch(() => undefined);
  return { SizeRw: writable, SizeRootFs: writable + (image?.sizeBytes ?? 0) };
}

async function create(services: Services, call: Call): Promise<void> {
  const { spec, warnings } = toWorkloadSpec(readCreate(await readJson(call)));
  const platform = call.text('platform');
  if (platform !== undefined) await checkPlatform(services, spec.image, platform);
  const created = await services.engine.workloads.create(spec, call.text('name'));
  sendJson(call, { Id: created.id, Warnings: [...warnings, ...created.warnings] }, 201);
}

/** Clients take `not-found` as the advice to pull the image for the platform that they asked for. */
async function checkPlatform({ images }: Services, reference: string, platform: string): Promise<void> {
  const image = await images.get(reference);
  const wanted = parsePlatform(platform);
  if (suits(image, wanted)) return;
  const own = formatPlatform(image);
  throw new BerthError(
    'not-found',
    `No such image: ${reference} for platform ${formatPlatform(wanted)}: the one that is here is for ${own}`,
  );
}

async function inspect(services: Services, call: Call): Promise<void> {
  const view = await services.engine.workloads.inspect(call.param());
  const sizes = call.flag('size') ? await sizesOf(services, view) : undefined;
  const counters = call.flag('counters')
    ? await services.engine.workloads.networkCounters(view.id)
    : undefined;
  sendJson(call, toInspect(view, services.engine.networks, sizes, counters));
}

async function rename({ engine }: Services, call: Call): Promise<void> {
  await engine.workloads.rename(call.param(), call.query.get('name') ?? '');
  sendEmpty(call);
}

async function update({ engine }: Services, call: Call): Promise<void> {
  const request = readUpdate(await readJson(call));
  const { warnings } = await engine.workloads.update(call.param(), {
    resources: toLimits(request),
    ...(request.RestartPolicy === undefined ? {} : { restart: toRestart(request.RestartPolicy) }),
  });
  sendJson(call, { Warnings: warnings.length === 0 ? null : warnings });
}

async function changes({ engine }: Services, call: Call): Promise<void> {
  const found = await engine.workloads.changes(call.param());
  sendJson(call, found.length === 0 ? null : found.map(changeOf));
}

/** JSON has no bytes that are not UTF-8: they are shown as U+FFFD, as with Docker. */
const changeOf = ({ kind, path }: FileChange) => ({
  Path: Buffer.from(path, 'latin1').toString(),
  Kind: kind,
});

async function remove({ engine }: Services, call: Call): Promise<void> {
  await engine.workloads.remove(call.param(), { force: call.flag('force'), volumes: call.flag('v') });
  sendEmpty(call);
}

async function prune(services: Services, call: Call): Promise<void> {
  const filters = readFilters(call.query.get('filters'), PRUNE_FILTERS);
  const passes = containerFilter(filters, await filterContext(services, []));
  const { removed, reclaimedBytes } = await services.engine.workloads.prune(passes);
  sendJson(call, {
    ContainersDeleted: removed.length === 0 ? null : removed,
    SpaceReclaimed: reclaimedBytes,
  });
}
