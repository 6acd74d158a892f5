// The documents of an image (OCI image specification, Docker image manifest v2 schema 2), read with suspicion.

import { BerthError, type ImageHistory, type ImageRunConfig } from '../core/index.ts';
import { parseDigest } from './digest.ts';
import type { Platform } from './platform.ts';

export const MEDIA_TYPES = {
  ociManifest: 'application/vnd.oci.image.manifest.v1+json',
  ociIndex: 'application/vnd.oci.image.index.v1+json',
  ociConfig: 'application/vnd.oci.image.config.v1+json',
  ociLayer: 'application/vnd.oci.image.layer.v1.tar',
  ociLayerGzip: 'application/vnd.oci.image.layer.v1.tar+gzip',
  ociLayerZstd: 'application/vnd.oci.image.layer.v1.tar+zstd',
  dockerManifest: 'application/vnd.docker.distribution.manifest.v2+json',
  dockerList: 'application/vnd.docker.distribution.manifest.list.v2+json',
} as const;

const LAYER_TYPE =
  /^application\/vnd\.(oci\.image\.layer(\.nondistributable)?\.v1\.tar(\+(gzip|zstd))?|docker\.image\.rootfs\.(foreign\.)?diff\.tar(\.(gzip|zstd))?)$/;

export interface Descriptor {
  readonly mediaType: string;
  readonly digest: string;
  readonly size: number;
  readonly platform?: Platform;
  readonly annotations?: Readonly<Record<string, string>>;
}

export interface Manifest {
  readonly kind: 'manifest';
  readonly mediaType: string;
  readonly config: Descriptor;
  readonly layers: readonly Descriptor[];
}

export interface Index {
  readonly kind: 'index';
  readonly manifests: readonly Descriptor[];
}

export interface ImageConfig {
  readonly os: string;
  readonly architecture: string;
  readonly variant?: string;
  readonly created?: string;
  readonly author?: string;
  readonly config: ImageRunConfig;
  readonly diffIds: readonly string[];
  readonly history: readonly ImageHistory[];
}

type Fields = Readonly<Record<string, unknown>>;

/** More than this a kernel does not lay over one another; the last few are for what lies above and below the layers. */
const MAX_LAYERS = 256;
const MAX_MANIFESTS = 1000;
/** Most entries of a list or map in a configuration. */
const MAX_ITEMS = 4096;
/** The kernel takes no longer argument or variable. */
const MAX_TEXT_BYTES = 128 << 10;

function bad(what: string, why: string): BerthError {
  return new BerthError('invalid-argument', `${what}: ${why}`);
}

function isFields(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function parseJson(data: Uint8Array | string, what: string): Fields {
  let value: unknown;
  try {
    value = JSON.parse(typeof data === 'string' ? data : Buffer.from(data).toString('utf8'));
  } catch (error) {
    throw new BerthError('invalid-argument', `${what}: not valid JSON`, { cause: error });
  }
  if (!isFields(value)) throw bad(what, 'not a JSON object');
  return value;
}

function text(value: unknown): string | undefined {
  return typeof value === 'string' ? value : undefined;
}

function parsePlatformOf(value: unknown): Platform | undefined {
  if (!isFields(value)) return undefined;
  const variant = text(value['variant']);
  return {
    os: text(value['os']) ?? '',
    architecture: text(value['architecture']) ?? '',
    ...(variant === undefined ? {} : { variant }),
  };
}

export function parseDescriptor(value: unknown, what: string): Descriptor {
  if (!isFields(value)) throw bad(what, 'a descriptor is missing or not an object');
  const size = value['size'];
  if (typeof size !== 'number' || !Number.isSafeInteger(size) || size < 0)
    throw bad(what, 'a descriptor has no valid size');
  const platform = parsePlatformOf(value['platform']);
  const annotations = value['annotations'];
  return {
    mediaType: text(value['mediaType']) ?? '',
    digest: parseDigest(value['digest'], what),
    size,
    ...(platform === undefined ? {} : { platform }),
    ...(isFields(annotations) ? { annotations: stringsOf(annotations) } : {}),
  };
}

function stringsOf(fields: Fields): Record<string, string> {
  return Object.fromEntries(
    Object.entries(fields).filter((entry): entry is [string, string] => typeof entry[1] === 'string'),
  );
}

/** Reads a manifest or index, of OCI or Docker. Fails with `invalid-argument` or, for old or foreign ones, `unsupported`. */
export function parseManifest(data: Uint8Array | string, what: string): Manifest | Index {
  const fields = parseJson(data, what);
  if (fields['schemaVersion'] === 1)
    throw new BerthError(
      'unsupported',
      `${what}: Docker's schema 1 manifests are not supported; push the image anew`,
    );
  if (Array.isArray(fields['manifests'])) checkCount(fields['manifests'], MAX_MANIFESTS, what, 'manifests');
  if (Array.isArray(fields['manifests']))
    return { kind: 'index', manifests: fields['manifests'].map((entry) => parseDescriptor(entry, what)) };
  if (!Array.isArray(fields['layers'])) throw bad(what, 'neither an image manifest nor an index');
  checkCount(fields['layers'], MAX_LAYERS, what, 'layers');
  const mediaType = text(fields['mediaType']) ?? MEDIA_TYPES.ociManifest;
  const layers = fields['layers'].map((entry) => parseDescriptor(entry, what));
  for (const { mediaType: type } of layers)
    if (!LAYER_TYPE.test(type))
      throw new BerthError(
        'unsupported',
        `${what}: not a container image: a layer is of type ${JSON.stringify(type)}`,
      );
  return { kind: 'manifest', mediaType, config: parseDescriptor(fields['config'], what), layers };
}

/** Reads an image configuration. */
export function parseConfig(data: Uint8Array | string, what: string): ImageConfig {
  const fields = parseJson(data, what);
  const rootfs = fields['rootfs'];
  const diffIds = isFields(rootfs) ? rootfs['diff_ids'] : undefined;
  if (!Array.isArray(diffIds))
    throw bad(what, 'not an image configuration: it lists no layers (rootfs.diff_ids)');
  checkCount(diffIds, MAX_LAYERS, what, 'layers');
  const config = fields['config'];
  const history = fields['history'];
  const variant = text(fields['variant']);
  const created = text(fields['created']);
  const author = text(fields['author']);
  return {
    os: text(fields['os']) || 'linux',
    architecture: text(fields['architecture']) ?? '',
    ...(variant ? { variant } : {}),
    ...(created === undefined || Number.isNaN(Date.parse(created)) ? {} : { created }),
    ...(author ? { author } : {}),
    config: isFields(config) ? cleanRunConfig(config, what) : {},
    diffIds: diffIds.map((id) => parseDigest(id, what)),
    history: Array.isArray(history) ? history.filter(isFields).slice(0, MAX_ITEMS).map(cleanStep) : [],
  };
}

const LISTS = ['Env', 'Entrypoint', 'Cmd', 'Shell'];
const STRINGS = ['WorkingDir', 'User', 'StopSignal'];
const MAPS = ['ExposedPorts', 'Volumes', 'Labels', 'Healthcheck'];

function checkCount(list: readonly unknown[], most: number, what: string, name: string): void {
  if (list.length > most)
    throw bad(what, `it has ${list.length} ${name}, and no more than ${most} are supported`);
}

/** Whether the kernel can take the text as an argument, a variable or a path. */
function isUsable(value: unknown): value is string {
  return typeof value === 'string' && value.length < MAX_TEXT_BYTES && !value.includes('\0');
}

/** Keeps the fields that have the type they must have: an image is a stranger's file. */
function cleanRunConfig(config: Fields, what: string): ImageRunConfig {
  const kept: Record<string, unknown> = {};
  for (const key of LISTS) {
    const value = config[key];
    if (!Array.isArray(value) || value.some((item) => typeof item !== 'string')) continue;
    checkCount(value, MAX_ITEMS, what, `entries in ${key}`);
    if (!value.every(isUsable)) throw bad(what, `an entry in ${key} is too long or has a NUL byte`);
    kept[key] = value;
  }
  for (const key of STRINGS) {
    const value = config[key];
    if (typeof value !== 'string') continue;
    if (!isUsable(value)) throw bad(what, `${key} is too long or has a NUL byte`);
    kept[key] = value;
  }
  for (const key of MAPS) {
    const value = config[key];
    if (!isFields(value)) continue;
    checkCount(Object.keys(value), MAX_ITEMS, what, `entries in ${key}`);
    kept[key] = key === 'Labels' ? stringsOf(value) : value;
  }
  return kept;
}

const STEP_TEXTS = ['created', 'created_by', 'author', 'comment'];

function cleanStep(step: Fields): ImageHistory {
  const texts = STEP_TEXTS.flatMap((key) => (typeof step[key] === 'string' ? [[key, step[key]]] : []));
  return { ...Object.fromEntries(texts), ...(step['empty_layer'] === true ? { empty_layer: true } : {}) };
}

/** The manifest's bytes; key order is fixed, so that the same image has the same digest. */
export function formatManifest(config: Descriptor, layers: readonly Descriptor[]): string {
  return JSON.stringify({
    schemaVersion: 2,
    mediaType: MEDIA_TYPES.ociManifest,
    config: { mediaType: config.mediaType, digest: config.digest, size: config.size },
    layers: layers.map(({ mediaType, digest, size }) => ({ mediaType, digest, size })),
  });
}
