// Images: listing, describing, naming and removing.

import { type Image, isBerthError } from '../../core/index.ts';
import { booleanFilter, type Filters, matchesLabels, readFilters } from '../../wire/index.ts';
import type { Call } from '../http/call.ts';
import { HttpError } from '../http/errors.ts';
import { sendEmpty, sendJson } from '../http/respond.ts';
import type { Route } from '../http/router.ts';
import { untilMoment } from '../translate/container-filters.ts';
import { toImageHistory, toImageInspect, toImageSummary } from '../translate/image-json.ts';
import { publishImage, type Services } from './services.ts';

const LIST_FILTERS = ['dangling', 'label', 'label!', 'before', 'since', 'until', 'reference'];
const PRUNE_FILTERS = ['dangling'];

export function imageRoutes(services: Services): readonly Route[] {
  const { images } = services;
  return [
    { method: 'GET', path: '/images/json', handle: (call) => list(services, call) },
    { method: 'GET', path: '/images/search', handle: refuseSearch },
    { method: 'POST', path: '/images/prune', handle: (call) => prune(services, call) },
    {
      method: 'GET',
      path: '/images/{*}/json',
      handle: async (call) => sendJson(call, toImageInspect(await images.get(call.param()))),
    },
    {
      method: 'GET',
      path: '/images/{*}/history',
      handle: async (call) => sendJson(call, toImageHistory(await images.get(call.param()))),
    },
    { method: 'POST', path: '/images/{*}/tag', handle: (call) => tag(services, call) },
    { method: 'POST', path: '/images/{*}/push', handle: refusePush },
    { method: 'DELETE', path: '/images/{*}', handle: (call) => remove(services, call) },
  ];
}

function refuseSearch(): void {
  throw new HttpError(501, 'searching registries is not supported: look at the registry with a browser');
}

function refusePush(): void {
  throw new HttpError(501, 'pushing is not supported in this version: use save, and another tool');
}

async function list({ engine, images }: Services, call: Call): Promise<void> {
  const filters = readFilters(call.query.get('filters'), LIST_FILTERS);
  const passes = await imageFilter(filters, (reference) => images.get(reference));
  const patterns = (filters.get('reference') ?? []).map(referencePattern);
  const named = (image: Image) => withMatchingTags(image, patterns);
  const used = engine.imagesInUse();
  const found = (await images.list()).filter(passes).flatMap(named);
  const newestFirst = found.toSorted((a, b) => Date.parse(b.created) - Date.parse(a.created));
  sendJson(
    call,
    newestFirst.map((image) => toImageSummary(image, used.get(image.id)?.length ?? 0)),
  );
}

async function imageFilter(
  filters: Filters,
  find: (reference: string) => Promise<Image>,
): Promise<(image: Image) => boolean> {
  const dangling = booleanFilter(filters, 'dangling');
  const values = (name: string) => filters.get(name) ?? [];
  const created = async (name: string) =>
    (await Promise.all(values(name).map(find))).map((image) => Date.parse(image.created));
  const before = await created('before');
  const since = await created('since');
  const until = values('until').map((text) => Number(untilMoment(text) / 1_000_000n));
  return (image) => {
    const labels = image.config.Labels ?? {};
    const time = Date.parse(image.created);
    return (
      (dangling === undefined || dangling === (image.tags.length === 0)) &&
      matchesLabels(values('label'), labels) &&
      !values('label!').some((entry) => matchesLabels([entry], labels)) &&
      [...before, ...until].every((limit) => time < limit) &&
      since.every((limit) => time > limit)
    );
  };
}

/** The image under those of its names that fit, or not at all. */
function withMatchingTags(image: Image, patterns: readonly RegExp[]): readonly Image[] {
  if (patterns.length === 0) return [image];
  const tags = image.tags.filter((name) => patterns.some((pattern) => pattern.test(name)));
  return tags.length === 0 ? [] : [{ ...image, tags }];
}

/** A shell pattern over `name` or `name:tag`; its `*` does not pass a slash. */
function referencePattern(text: string): RegExp {
  const source = text
    .replace(/[.+^${}()|\\]/g, '\\$&')
    .replaceAll('*', '[^/]*')
    .replaceAll('?', '[^/]');
  const named = text.slice(text.lastIndexOf('/') + 1).includes(':');
  return new RegExp(`^${source}${named ? '' : '(:[^/:]+)?'}$`);
}

async function tag(services: Services, call: Call): Promise<void> {
  const repository = call.required('repo');
  const target = `${repository}:${call.text('tag') ?? 'latest'}`;
  await services.images.tag(call.param(), target);
  const { id } = await services.images.get(target);
  publishImage(services, 'tag', id, target);
  sendEmpty(call, 201);
}

async function remove(services: Services, call: Call): Promise<void> {
  const id = await services.images.get(call.param()).then(
    (image) => image.id,
    (error: unknown) => {
      // An untagged or damaged image may still be removed: the store has the last word.
      if (isBerthError(error, 'not-found')) throw error;
      return call.param();
    },
  );
  const force = call.flag('force');
  const removals = await services.images.remove(call.param(), { force, noPrune: call.flag('noprune') });
  for (const { untagged, deleted } of removals) {
    if (untagged !== undefined) publishImage(services, 'untag', id, untagged);
    if (deleted !== undefined && deleted === id) publishImage(services, 'delete', id, id);
  }
  sendJson(call, removals.map(toRemovalJson));
}

function toRemovalJson({ untagged, deleted }: { readonly untagged?: string; readonly deleted?: string }) {
  return untagged === undefined ? { Deleted: deleted } : { Untagged: untagged };
}

async function prune({ images }: Services, call: Call): Promise<void> {
  const filters = readFilters(call.query.get('filters'), PRUNE_FILTERS);
  const all = booleanFilter(filters, 'dangling') === false;
  const { removed, reclaimedBytes } = await images.prune({ all });
  sendJson(call, {
    ImagesDeleted: removed.length === 0 ? null : removed.map(toRemovalJson),
    SpaceReclaimed: reclaimedBytes,
  });
}
