// From the mounts a user asked for, and the volumes an image wants, to what a driver mounts.

import { mkdir, stat } from 'node:fs/promises';
import { posix } from 'node:path';
import {
  BerthError,
  errorMessage,
  type MountSpec,
  type MountView,
  type VolumeMount,
} from '../../core/index.ts';
import { copyFromImage, isEmptyFolder, type StoredVolume, type VolumeStore } from '../../volumes/index.ts';

export interface ResolvedMounts {
  /** For the driver; outer folders before what is mounted inside them. */
  readonly mounts: readonly MountSpec[];
  readonly views: readonly MountView[];
  /** Volumes without a name of their own: they go with the workload. */
  readonly anonymous: readonly string[];
}

export interface MountContext {
  readonly volumes: VolumeStore;
  /** Folders of the image, lowest first, to fill new volumes from. */
  readonly layers: readonly string[];
  /** Told of each volume made on the way, so that it can be undone. */
  readonly onCreated: (volume: StoredVolume) => void;
}

type AskedMount = MountSpec | VolumeMount;

/** Makes the volumes that are missing. Fails with `invalid-argument` naming the mount. */
export async function resolveMounts(
  asked: readonly AskedMount[],
  imageVolumes: readonly string[],
  context: MountContext,
): Promise<ResolvedMounts> {
  if (asked.length === 0 && imageVolumes.length === 0) return { mounts: [], views: [], anonymous: [] };
  const all = withImageVolumes(asked, imageVolumes);
  const resolved: { mount: MountSpec; view: MountView; anonymous: boolean }[] = [];
  for (const mount of all) resolved.push(await resolveOne(mount, context));
  return {
    mounts: resolved.map(({ mount }) => mount).sort((a, b) => depth(a.target) - depth(b.target)),
    views: resolved.map(({ view }) => view),
    anonymous: resolved.flatMap(({ view, anonymous }) => (anonymous && view.name ? [view.name] : [])),
  };
}

/** Checks the targets and adds an anonymous volume for each path of the image that nothing else covers. */
function withImageVolumes(asked: readonly AskedMount[], imageVolumes: readonly string[]): AskedMount[] {
  const targets = new Set<string>();
  const all = asked.map((mount) => {
    const target = checkTarget(mount);
    if (targets.has(target)) throw new BerthError('invalid-argument', `Duplicate mount point: ${target}`);
    targets.add(target);
    return { ...mount, target };
  });
  for (const path of imageVolumes) {
    const target = cleanTarget(path);
    if (target === '/' || targets.has(target)) continue;
    targets.add(target);
    all.push({ type: 'volume', target, readonly: false, noCopy: false });
  }
  return all;
}

function checkTarget(mount: AskedMount): string {
  const fail = (why: string) =>
    new BerthError('invalid-argument', `invalid mount config for type "${mount.type}": ${why}`);
  if (mount.target === '') throw fail('field Target must not be empty');
  if (!mount.target.startsWith('/'))
    throw fail(`invalid mount path: '${mount.target}' mount path must be absolute`);
  const target = cleanTarget(mount.target);
  if (target === '/') throw fail("invalid specification: destination can't be '/'");
  return target;
}

function cleanTarget(path: string): string {
  const clean = posix.normalize(`/${path}`);
  return clean.length > 1 && clean.endsWith('/') ? clean.slice(0, -1) : clean;
}

function depth(target: string): number {
  return target.split('/').length;
}

async function resolveOne(mount: AskedMount, context: MountContext) {
  if (mount.type === 'volume') return await resolveVolume(mount, context);
  const { target, readonly } = mount;
  if (mount.type === 'tmpfs') {
    const view: MountView = { type: 'tmpfs', source: '', target, readonly, propagation: '' };
    return { mount, view, anonymous: false };
  }
  await checkSource(mount.source, mount.createSource === true);
  const { source, propagation } = mount;
  return { mount, view: { type: 'bind' as const, source, target, readonly, propagation }, anonymous: false };
}

/** As Docker: `-v` makes a missing folder, `--mount` refuses it. */
async function checkSource(source: string, create: boolean): Promise<void> {
  const fail = (why: string) =>
    new BerthError('invalid-argument', `invalid mount config for type "bind": ${why}`);
  if (!source.startsWith('/')) throw fail(`invalid mount path: '${source}' mount path must be absolute`);
  const found = await stat(source).catch((error: NodeJS.ErrnoException) => error);
  if (!(found instanceof Error)) return;
  if (found.code !== 'ENOENT') throw fail(`bind source path ${source}: ${found.message}`);
  if (!create) throw fail(`bind source path does not exist: ${source}`);
  await mkdir(source, { recursive: true }).catch((error: Error) => {
    throw fail(`error while creating mount source path '${source}': ${error.message}`);
  });
}

/** Whether the part is there, and where links in it lead, is found out when the workload starts. */
function checkSubpath(subpath: string): void {
  if (!subpath.startsWith('/') && !subpath.split('/').includes('..')) return;
  throw new BerthError(
    'invalid-argument',
    `invalid mount config for type "volume": subpath '${subpath}' must be a relative path within the volume`,
  );
}

async function fillFromImage(volume: StoredVolume, target: string, context: MountContext): Promise<void> {
  const { layers, volumes } = context;
  if (layers.length === 0) return;
  // What lies in an image file is looked at by the copying itself.
  if (volume.image === undefined && !(await isEmptyFolder(volume.mountpoint))) return;
  try {
    await copyFromImage(layers, target, volume, volumes.door);
  } catch (error) {
    const full = errorMessage(error).includes('No space left on device');
    if (!full) throw error;
    const limit = volume.sizeBytes === undefined ? 'the disk' : `its ${volume.sizeBytes} bytes`;
    throw new BerthError(
      'exhausted',
      `volume ${volume.name}: what the image has at ${target} does not fit into ${limit}: make a larger volume, or mount it without the copy (volume-nocopy)`,
      { cause: error },
    );
  }
}

async function resolveVolume(mount: VolumeMount, context: MountContext) {
  const { target, readonly } = mount;
  const { subpath } = mount;
  if (subpath !== undefined) checkSubpath(subpath);
  const { volume, created } = await context.volumes.create(mount.name ? { name: mount.name } : {});
  if (created) context.onCreated(volume);
  if (!mount.noCopy && subpath === undefined) await fillFromImage(volume, target, context);
  const { name, mountpoint: source, image } = volume;
  const bind: MountSpec = {
    ...{ type: 'bind', source, target, readonly, propagation: 'rprivate' },
    ...(image === undefined ? {} : { image }),
    ...(subpath === undefined ? {} : { subpath }),
  };
  const view: MountView = { type: 'volume', name, source, target, readonly, propagation: '' };
  return { mount: bind, view, anonymous: !mount.name };
}
