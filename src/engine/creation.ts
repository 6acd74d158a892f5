// A workload comes into being: image, settings, mounts, record, instance; nothing stays of one that fails.

import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import {
  BerthError,
  errorMessage,
  type Image,
  type InstanceSpec,
  isBerthError,
  type WorkloadSpec,
} from '../core/index.ts';
import { cgroupHost } from '../host/index.ts';
import { driverOf, type EngineContext } from './context.ts';
import { attachmentsOf, resolveMode } from './networks/attachments.ts';
import { beginRecord, commitRecord, type WorkloadRecord } from './records.ts';
import { removeVolumes, volumeEvent } from './removal.ts';
import {
  checkProcessText,
  checkSpec,
  limitWarnings,
  type MergedConfig,
  mergeConfig,
  parseName,
  parseSignal,
  type ResolvedMounts,
  randomName,
  resolveInstance,
  resolveMounts,
} from './resolve/index.ts';
import { Workload } from './workload.ts';

export interface Created {
  readonly id: string;
  readonly warnings: readonly string[];
}

export async function createWorkload(
  ctx: EngineContext,
  wanted: WorkloadSpec,
  wantedName: string | undefined,
): Promise<Created> {
  const spec = { ...wanted, networkMode: resolveMode(ctx, wanted.networkMode) };
  const limits = limitWarnings(spec.isolation, spec.resources, cgroupHost().version);
  const warnings = [...checkSpec(spec), ...limits];
  const driver = driverOf(ctx, { name: wantedName ?? spec.image, spec });
  const id = newId(ctx);
  await using undo = new AsyncDisposableStack();
  const name = wantedName ? parseName(wantedName) : randomName((taken) => ctx.registry.isTaken(taken));
  ctx.registry.reserveName(name, id);
  undo.defer(() => ctx.registry.releaseName(name, id));
  const image = await findImage(ctx, spec.image);
  const volumes = spec.mounts.flatMap((mount) => (mount.type === 'volume' && mount.name ? [mount.name] : []));
  using _reserved = ctx.registry.reserve(id, { name, imageId: image.id, volumes });
  const config = mergeConfig(image.config, spec);
  const attachments = attachmentsOf(spec);
  parseSignal(config.stopSignal);
  checkProcessText({
    args: [...config.entrypoint, ...config.command],
    env: config.env,
    cwd: config.workingDir,
    user: config.user,
  });
  const layers = await ctx.images.layers(image);
  const mounts = await mountsOf(ctx, spec, config, layers, undo);
  const endpoints = await ctx.networking.assign(attachments, id);
  undo.defer(() => ctx.networking.release(endpoints));
  const dir = join(ctx.workloadsDir, id);
  const cgroupParent = ctx.workloadGroup.path;
  const inputs = { id, dir, spec, image, layers, config, mounts: mounts.mounts, cgroupParent };
  const record = { ...newRecord(name, spec, image, config, resolveInstance(inputs), mounts), endpoints };
  beginRecord(record);
  undo.defer(() => quietly(ctx, `folder ${dir}`, () => ctx.trash.discard(dir)));
  const instance = await driver.create(record.instance, ctx.closing);
  undo.defer(() => quietly(ctx, `instance ${id}`, () => instance.remove()));
  commitRecord(record);
  undo.move();
  const workload = new Workload(record, instance);
  ctx.registry.add(workload);
  ctx.events.publish(workload.event('create'));
  return { id, warnings };
}

/** What cannot be undone is found at the next start; the client is to hear why the creation failed. */
export async function quietly(ctx: EngineContext, what: string, work: () => Promise<void>): Promise<void> {
  await work().catch((error: unknown) => ctx.log(`${what} is left over: ${errorMessage(error)}`));
}

/** As Docker: no id whose short form could be read as a number. */
export function newId(ctx: EngineContext): string {
  for (;;) {
    const id = randomBytes(32).toString('hex');
    if (!/^\d+$/.test(id.slice(0, 12)) && !ctx.registry.has(id)) return id;
  }
}

async function findImage(ctx: EngineContext, reference: string): Promise<Image> {
  try {
    return await ctx.images.get(reference);
  } catch (error) {
    if (!isBerthError(error, 'not-found')) throw error;
    throw new BerthError('not-found', `No such image: ${withTag(reference)}`, { cause: error });
  }
}

function withTag(reference: string): string {
  const last = reference.slice(reference.lastIndexOf('/') + 1);
  return /[:@]/.test(last) || /^[0-9a-f]{64}$/.test(reference) ? reference : `${reference}:latest`;
}

async function mountsOf(
  ctx: EngineContext,
  spec: WorkloadSpec,
  config: MergedConfig,
  layers: readonly string[],
  undo: AsyncDisposableStack,
): Promise<ResolvedMounts> {
  return await resolveMounts(spec.mounts, config.volumes, {
    volumes: ctx.volumes,
    layers,
    onCreated: ({ name }) => {
      ctx.events.publish(volumeEvent('create', name));
      undo.defer(() => removeVolumes(ctx, [name]));
    },
  });
}

function newRecord(
  name: string,
  spec: WorkloadSpec,
  image: Image,
  config: MergedConfig,
  instance: InstanceSpec,
  mounts: ResolvedMounts,
): WorkloadRecord {
  return {
    version: 1,
    id: instance.id,
    name,
    createdAt: new Date().toISOString(),
    imageId: image.id,
    spec,
    config,
    instance,
    mounts: mounts.views,
    anonymousVolumes: mounts.anonymous,
    endpoints: [],
    published: [],
    manuallyStopped: false,
    restartCount: 0,
    error: '',
  };
}
