// `docker load`: images from a docker-archive (manifest.json) or an OCI archive (index.json), or one that is both.

import { BerthError, type OnProgress } from '../../core/index.ts';
import { detectCompression } from '../../formats/compression.ts';
import { admit } from '../admit.ts';
import type { LeaseGroup } from '../leases.ts';
import type { Documents, Library } from '../library.ts';
import { type Descriptor, formatManifest, MEDIA_TYPES, parseConfig, parseManifest } from '../manifest.ts';
import { hostPlatform, suits } from '../platform.ts';
import { formatCanonical, formatFamiliar, parseReference, withDefaultTag } from '../reference.ts';
import { type ImageArchive, readArchive } from './archive.ts';

interface Found {
  readonly manifestDigest: string;
  /** domain/path:tag */
  readonly tags: readonly string[];
}

interface LoadContext {
  readonly library: Library;
  readonly archive: ImageArchive;
  readonly lease: LeaseGroup;
}

interface LoadOptions {
  readonly onProgress?: OnProgress | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** See ImageStore.load. All images of the archive are loaded, or none. */
export function loadImages(
  library: Library,
  source: AsyncIterable<Uint8Array>,
  options: LoadOptions,
): Promise<readonly string[]> {
  return library.adding(async (lease) => {
    const archive = await readArchive(library, source, lease, options.signal);
    const found = await findImages({ library, archive, lease });
    const admitted: { image: Found; documents: Documents }[] = [];
    for (const image of found) {
      const what = image.tags[0] ?? `image ${image.manifestDigest}`;
      const documents = await admit(library, image.manifestDigest, what, { ...options, lease });
      admitted.push({ image, documents });
    }
    const shown: string[] = [];
    for (const { image, documents } of admitted) {
      const { id } = await library.register(image.manifestDigest, documents, {
        tags: image.tags,
        repoDigests: [],
      });
      const names = image.tags.map((tag) => `Loaded image: ${formatFamiliar(parseReference(tag))}`);
      shown.push(...(names.length > 0 ? names : [`Loaded image ID: ${id}`]));
    }
    return shown;
  });
}

async function findImages(context: LoadContext): Promise<readonly Found[]> {
  const { archive } = context;
  const hasIndex = archive.has('index.json');
  if (archive.has('manifest.json')) return dockerImages(context, hasIndex ? await ociImages(context) : []);
  if (hasIndex) {
    const images = await ociImages(context);
    if (images.length > 0) return images;
    throw new BerthError('invalid-argument', 'the OCI archive holds no image: its index.json is empty');
  }
  const old = archive.has('repositories') ? ': it was written by Docker before 1.10, save it anew' : '';
  throw new BerthError(
    'invalid-argument',
    `not an image archive: neither manifest.json nor index.json is in it${old} (for a root file system use import)`,
  );
}

interface DockerItem {
  readonly config: string;
  readonly tags: readonly string[];
  readonly layers: readonly string[];
}

async function dockerImages(context: LoadContext, oci: readonly Found[]): Promise<readonly Found[]> {
  const { library, archive } = context;
  const data = await library.blobs.readDocument(archive.digest('manifest.json', 'the archive'));
  const images: Found[] = [];
  for (const item of parseDockerItems(data)) {
    const config = archive.digest(item.config, 'manifest.json');
    const layers = item.layers.map((name) => archive.digest(name, 'manifest.json'));
    const tags = item.tags.map(tagOf);
    const same = await sameInOci(library, oci, config);
    images.push({ manifestDigest: same ?? (await writeManifest(context, config, layers)), tags });
  }
  if (images.length === 0)
    throw new BerthError('invalid-argument', 'the archive holds no image: its manifest.json is empty');
  return images;
}

/** The archive's own OCI manifest of the image, if it has one: its digest is worth keeping. */
async function sameInOci(
  library: Library,
  oci: readonly Found[],
  config: string,
): Promise<string | undefined> {
  for (const { manifestDigest } of oci) {
    const manifest = parseManifest(await library.blobs.readDocument(manifestDigest), manifestDigest);
    const complete =
      manifest.kind === 'manifest' && manifest.layers.every(({ digest }) => library.blobs.has(digest));
    if (complete && manifest.config.digest === config) return manifestDigest;
  }
  return undefined;
}

async function writeManifest(
  { library, lease }: LoadContext,
  config: string,
  layers: readonly string[],
): Promise<string> {
  const { diffIds } = parseConfig(await library.blobs.readDocument(config), `configuration ${config}`);
  if (diffIds.length !== layers.length)
    throw new BerthError(
      'invalid-argument',
      `manifest.json names ${layers.length} layers, the configuration ${diffIds.length}: a layer is missing`,
    );
  const { blobs } = library;
  const described: Descriptor[] = [];
  for (const digest of layers) {
    const mediaType = LAYER_TYPES[detectCompression(await blobs.readStart(digest, 6))];
    described.push({ mediaType, digest, size: blobs.size(digest) });
  }
  const configDescriptor = { mediaType: MEDIA_TYPES.ociConfig, digest: config, size: blobs.size(config) };
  return (await blobs.writeDocument(formatManifest(configDescriptor, described), lease)).digest;
}

const LAYER_TYPES = {
  none: MEDIA_TYPES.ociLayer,
  gzip: MEDIA_TYPES.ociLayerGzip,
  zstd: MEDIA_TYPES.ociLayerZstd,
} as const;

function parseDockerItems(data: Buffer): readonly DockerItem[] {
  const bad = () =>
    new BerthError('invalid-argument', 'not an image archive: its manifest.json has not the form of one');
  let items: unknown;
  try {
    items = JSON.parse(data.toString('utf8'));
  } catch {
    throw bad();
  }
  if (!Array.isArray(items)) throw bad();
  return items.map((item: { Config?: unknown; RepoTags?: unknown; Layers?: unknown } | null) => {
    const { Config: config, RepoTags: tags, Layers: layers } = item ?? {};
    if (typeof config !== 'string' || !isStrings(layers ?? []) || !isStrings(tags ?? [])) throw bad();
    return { config, tags: (tags ?? []) as string[], layers: (layers ?? []) as string[] };
  });
}

function isStrings(value: unknown): value is readonly string[] {
  return Array.isArray(value) && value.every((item) => typeof item === 'string');
}

function tagOf(text: string): string {
  return formatCanonical(withDefaultTag({ ...parseReference(text) }));
}

async function ociImages(context: LoadContext): Promise<readonly Found[]> {
  const { library, archive } = context;
  const digest = archive.digest('index.json', 'the archive');
  const index = parseManifest(await library.blobs.readDocument(digest), 'index.json');
  if (index.kind !== 'index') throw new BerthError('invalid-argument', 'index.json is not an OCI index');
  const images: Found[] = [];
  for (const descriptor of chooseForHost(index.manifests)) {
    const manifestDigest = await resolveIndex(context, descriptor, 0);
    const tags = ociTags(descriptor);
    const known = images.findIndex((image) => image.manifestDigest === manifestDigest);
    if (known < 0) images.push({ manifestDigest, tags });
    else images[known] = { manifestDigest, tags: [...(images[known]?.tags ?? []), ...tags] };
  }
  return images;
}

/** What runs here, or everything when nothing does; never attestations and the like. */
function chooseForHost(descriptors: readonly Descriptor[]): readonly Descriptor[] {
  const images = descriptors.filter(
    ({ platform, annotations }) =>
      platform?.os !== 'unknown' && annotations?.['vnd.docker.reference.type'] === undefined,
  );
  const here = images.filter(({ platform }) => platform === undefined || suits(platform, hostPlatform()));
  return here.length > 0 ? here : images;
}

async function resolveIndex(context: LoadContext, descriptor: Descriptor, depth: number): Promise<string> {
  const { library, archive } = context;
  const name = `blobs/sha256/${descriptor.digest.slice('sha256:'.length)}`;
  const digest = archive.digest(name, 'index.json');
  const document = parseManifest(await library.blobs.readDocument(digest), `manifest ${digest}`);
  if (document.kind === 'manifest') {
    for (const { digest: layer } of [document.config, ...document.layers])
      archive.digest(`blobs/sha256/${layer.slice('sha256:'.length)}`, `manifest ${digest}`);
    return digest;
  }
  const [first] = chooseForHost(document.manifests);
  if (first === undefined || depth > 4)
    throw new BerthError('invalid-argument', `index ${digest} names no image`);
  return resolveIndex(context, first, depth + 1);
}

/** Tools name images in either annotation; the second may be a tag alone, which names nothing. */
function ociTags({ annotations = {} }: Descriptor): readonly string[] {
  const full = annotations['io.containerd.image.name'];
  const name = annotations['org.opencontainers.image.ref.name'] ?? '';
  if (full !== undefined) return [tagOf(full)];
  return /[/:]/.test(name) ? [tagOf(name)] : [];
}
