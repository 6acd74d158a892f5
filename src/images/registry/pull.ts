// `docker pull`: from a registry into the store, layers in parallel, everything checked while it streams.

import { BerthError, type Image, type OnProgress, type PullOptions } from '../../core/index.ts';
import { Semaphore } from '../../host/semaphore.ts';
import { throwFirst } from '../admit.ts';
import { shortId } from '../digest.ts';
import type { LeaseGroup } from '../leases.ts';
import type { Documents, Library } from '../library.ts';
import { type Descriptor, type ImageConfig, type Manifest, parseConfig, parseManifest } from '../manifest.ts';
import { formatPlatform, type Platform, parsePlatform, suits } from '../platform.ts';
import {
  formatFamiliar,
  parseReference,
  type Reference,
  repositoryName,
  withDefaultTag,
} from '../reference.ts';
import { type FetchedManifest, RegistryClient } from './client.ts';
import { LayerProgress } from './pull-progress.ts';

const PARALLEL_DOWNLOADS = 3;
const PARALLEL_EXTRACTIONS = 2;

export interface PullSettings extends PullOptions {
  readonly certsFolders: readonly string[];
}

interface Pull {
  readonly library: Library;
  readonly client: RegistryClient;
  readonly reference: Reference;
  readonly lease: LeaseGroup;
  readonly onProgress: OnProgress;
  readonly signal: AbortSignal | undefined;
  readonly platform: Platform;
  readonly platformAsked: boolean;
}

interface Resolved {
  readonly manifest: Manifest;
  readonly manifestDigest: string;
  /** Of what the tag names: the index, if there is one. */
  readonly namedDigest: string;
}

/** See ImageStore.pull. */
export async function pullImage(library: Library, text: string, settings: PullSettings): Promise<Image> {
  const reference = withDefaultTag(parseReference(text));
  const { auth, signal, certsFolders } = settings;
  const onProgress = settings.onProgress ?? (() => {});
  const platform = parsePlatform(settings.platform);
  using client = await RegistryClient.open(reference, { auth, certsFolders, signal });
  // Awaited here: the client is closed on the way out.
  return await library.adding(async (lease) => {
    const platformAsked = settings.platform !== undefined && settings.platform !== '';
    const pull = { library, client, reference, lease, onProgress, signal, platform, platformAsked };
    const before = taggedId(library, reference);
    onProgress({
      status: `Pulling from ${reference.path}`,
      id: reference.digest ?? reference.tag ?? 'latest',
    });
    const resolved = await resolveManifest(pull);
    const config = await fetchConfig(pull, resolved);
    const documents = { manifest: resolved.manifest, config };
    library.hold(lease, resolved.manifestDigest, documents);
    await fetchLayers(pull, documents);
    const image = await library.register(resolved.manifestDigest, documents, namesOf(pull, resolved));
    const isNew = before !== image.id;
    onProgress({ status: `Digest: ${resolved.namedDigest}` });
    onProgress({
      status: `Status: ${isNew ? 'Downloaded newer image' : 'Image is up to date'} for ${formatFamiliar(reference)}`,
    });
    return library.image(image.id);
  });
}

function taggedId(library: Library, reference: Reference): string | undefined {
  const name = repositoryName(reference);
  if (reference.digest === undefined) return library.state.tags.get(`${name}:${reference.tag}`);
  const digest = `${name}@${reference.digest}`;
  for (const [id, { repoDigests }] of library.state.images) if (repoDigests.includes(digest)) return id;
  return undefined;
}

function namesOf({ reference }: Pull, { namedDigest }: Resolved) {
  const name = repositoryName(reference);
  // A pull by digest gives no tag, even when one stands before the digest.
  const tags = reference.digest === undefined ? [`${name}:${reference.tag}`] : [];
  return { tags, repoDigests: [`${name}@${namedDigest}`] };
}

async function resolveManifest(pull: Pull): Promise<Resolved> {
  const { client, reference, signal, library, lease } = pull;
  const what = formatFamiliar(reference);
  const named = await client.manifest(reference.digest ?? reference.tag ?? 'latest', signal);
  let fetched: FetchedManifest = named;
  let document = parseManifest(named.data, `manifest of ${what}`);
  for (let depth = 0; document.kind === 'index'; depth++) {
    const { digest } = choosePlatform(document.manifests, pull.platform, what);
    if (depth > 4) throw new BerthError('invalid-argument', `manifest of ${what}: indexes nested too deep`);
    fetched = await client.manifest(digest, signal);
    document = parseManifest(fetched.data, `manifest of ${what}`);
  }
  await library.blobs.writeDocument(fetched.data, lease);
  return { manifest: document, manifestDigest: fetched.digest, namedDigest: named.digest };
}

function choosePlatform(manifests: readonly Descriptor[], wanted: Platform, what: string): Descriptor {
  const fits = manifests.find(({ platform }) => platform !== undefined && suits(platform, wanted));
  // Nested indexes and single images often carry no platform of their own.
  const plain = manifests.filter(({ platform }) => platform === undefined);
  const chosen = fits ?? (plain.length === 1 ? plain[0] : undefined);
  if (chosen !== undefined) return chosen;
  const offered = manifests
    .flatMap(({ platform }) =>
      platform === undefined || platform.os === 'unknown' ? [] : [formatPlatform(platform)],
    )
    .join(', ');
  throw new BerthError(
    'not-found',
    `no matching manifest for ${formatPlatform(wanted)} in the manifest list entries of ${what}` +
      (offered === '' ? '' : ` (there is: ${offered})`),
  );
}

async function fetchConfig(pull: Pull, { manifest }: Resolved): Promise<ImageConfig> {
  const what = formatFamiliar(pull.reference);
  await download(pull, manifest.config, () => {});
  const config = parseConfig(
    await pull.library.blobs.readDocument(manifest.config.digest),
    `configuration of ${what}`,
  );
  if (config.diffIds.length !== manifest.layers.length)
    throw new BerthError(
      'invalid-argument',
      `${what}: the manifest has ${manifest.layers.length} layers, the configuration ${config.diffIds.length}`,
    );
  if (pull.platformAsked && !suits(config, pull.platform))
    throw new BerthError(
      'not-found',
      `image ${what} was found but does not match the specified platform: ` +
        `wanted ${formatPlatform(pull.platform)}, actual: ${formatPlatform(config)}`,
    );
  return config;
}

/** Downloads a blob into the store, once for all who want it at the same time. */
async function download(
  pull: Pull,
  { digest, size }: Descriptor,
  onBytes: (total: number) => void,
): Promise<void> {
  const { library, client, lease, signal } = pull;
  lease.hold(digest);
  if (library.blobs.has(digest)) return;
  await library.downloads.run(digest, { onProgress: onBytes, signal }, async (emit, taskSignal) => {
    if (library.blobs.has(digest)) return;
    await library.blobs.ingest(client.blob(digest, size, taskSignal), {
      expected: digest,
      what: `blob ${digest} of ${formatFamiliar(pull.reference)}`,
      onBytes: emit,
      signal: taskSignal,
    });
  });
}

async function fetchLayers(pull: Pull, { manifest, config }: Documents): Promise<void> {
  const stop = new AbortController();
  const signal = pull.signal === undefined ? stop.signal : AbortSignal.any([pull.signal, stop.signal]);
  const downloads = new Semaphore(PARALLEL_DOWNLOADS);
  const extractions = new Semaphore(PARALLEL_EXTRACTIONS);
  const layers = manifest.layers.map((descriptor, index) => ({
    descriptor,
    diffId: config.diffIds[index] ?? '',
    progress: new LayerProgress(pull.onProgress, shortId(descriptor.digest), descriptor.size),
  }));
  const missing = layers.filter(({ descriptor, diffId, progress }) => {
    const present = pull.library.blobs.has(descriptor.digest) && pull.library.layers.has(diffId);
    progress.say(present ? 'Already exists' : 'Pulling fs layer');
    return !present;
  });
  const work = missing.map(async ({ descriptor, diffId, progress }) => {
    try {
      await downloads.run(async () => {
        await download({ ...pull, signal }, descriptor, (total) => progress.advance('Downloading', total));
        progress.say('Verifying Checksum');
        progress.say('Download complete');
      });
      await extractions.run(() => extract(pull.library, diffId, descriptor, progress, signal));
      progress.say('Pull complete');
    } catch (error) {
      stop.abort();
      throw error;
    } finally {
      progress.stop();
    }
  });
  throwFirst(await Promise.allSettled(work));
}

async function extract(
  library: Library,
  diffId: string,
  { digest }: Descriptor,
  progress: LayerProgress,
  signal: AbortSignal,
): Promise<void> {
  async function* reading(): AsyncGenerator<Buffer> {
    let read = 0;
    for await (const chunk of library.blobs.read(digest)) {
      read += chunk.length;
      progress.advance('Extracting', read);
      yield chunk;
    }
  }
  await library.layers.add(diffId, reading, signal);
}
