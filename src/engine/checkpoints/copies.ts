// Workloads that go on where another one was captured. Each has a record that says "being made" until its process runs, so that
// a daemon that dies in between leaves nothing behind.

import { join } from 'node:path';
import {
  BerthError,
  type Driver,
  type Endpoint,
  type Instance,
  type NetworkAttachment,
  type Origin,
  type WorkloadSpec,
} from '../../core/index.ts';
import { within } from '../../host/index.ts';
import type { CopyOptions } from '../api.ts';
import type { EngineContext } from '../context.ts';
import { newId, quietly } from '../creation.ts';
import { enterNetworks, leaveNetworks } from '../networks/membership.ts';
import { beginRecord, commitRecord, type WorkloadRecord } from '../records.ts';
import { parseName, resolveInstance, SIGKILL } from '../resolve/index.ts';
import { begun } from '../runs.ts';
import { Workload } from '../workload.ts';

const END_LIMIT_MS = 30_000;

/** More at once would only wait for one another. */
const MOST_COPIES = 100;

/** All of them, or none: those that were made already are ended again when one fails. */
export async function makeCopies(
  ctx: EngineContext,
  source: WorkloadRecord,
  origin: Origin,
  options: CopyOptions,
): Promise<readonly Workload[]> {
  const names = copyNames(ctx, source.name, options);
  const results = await Promise.allSettled(names.map((name) => makeCopy(ctx, source, origin, name)));
  const made = results.flatMap((result) => (result.status === 'fulfilled' ? [result.value] : []));
  const failure = results.find((result) => result.status === 'rejected');
  if (failure !== undefined) {
    await Promise.all(made.map((copy) => copy.undo()));
    throw failure.reason;
  }
  return made.map((copy) => copy.enlist());
}

export function checkCopies({ count = 1, name }: CopyOptions): void {
  if (!Number.isInteger(count) || count < 1 || count > MOST_COPIES)
    throw new BerthError('invalid-argument', `${count} copies cannot be made: ask for 1 to ${MOST_COPIES}`);
  if (name !== undefined) parseName(name);
}

/** NAME for one, NAME-1, NAME-2 … for more, or if nothing was said the first free ones behind the source's name. */
function copyNames(ctx: EngineContext, source: string, { count = 1, name }: CopyOptions): string[] {
  if (name !== undefined)
    return count === 1 ? [name] : Array.from({ length: count }, (_, index) => `${name}-${index + 1}`);
  const names: string[] = [];
  for (let number = 1; names.length < count; number++) {
    const next = `${source}-${number}`;
    if (!ctx.registry.isTaken(next)) names.push(next);
  }
  return names;
}

/** One whose process runs, but which only its folder knows of yet. */
interface Copy {
  enlist(): Workload;
  undo(): Promise<void>;
}

async function makeCopy(
  ctx: EngineContext,
  source: WorkloadRecord,
  origin: Origin,
  name: string,
): Promise<Copy> {
  const restore = requireRestore(ctx, source);
  const id = newId(ctx);
  await using undo = new AsyncDisposableStack();
  ctx.registry.reserveName(name, id);
  undo.defer(() => ctx.registry.releaseName(name, id));
  const reservation = ctx.registry.reserve(id, { name, imageId: source.imageId, volumes: [] });
  undo.defer(() => reservation[Symbol.dispose]());
  const endpoints = await ctx.networking.assign(source.endpoints.map(toAttachment), id);
  undo.defer(() => ctx.networking.release(endpoints));
  const record = { ...(await copyRecord(ctx, source, id, name)), endpoints };
  const { dir } = record.instance;
  beginRecord(record);
  undo.defer(() => quietly(ctx, `folder ${dir}`, () => ctx.trash.discard(dir)));
  const instance = await restore(record.instance, origin);
  undo.defer(() => quietly(ctx, `instance ${id}`, () => endInstance(instance)));
  const workload = new Workload(record, instance);
  const network = await enterNetworks(ctx, workload);
  undo.defer(async () => {
    leaveNetworks(ctx, workload);
    await workload.left;
  });
  await instance.start(network === undefined ? {} : { network });
  const status = await instance.state();
  const kept = undo.move();
  return {
    undo: () => kept.disposeAsync(),
    enlist: () => {
      commitRecord(record);
      ctx.registry.add(workload);
      reservation[Symbol.dispose]();
      ctx.events.publish(workload.event('create', { forkedFrom: source.id }));
      begun(ctx, workload, status);
      return workload;
    },
  };
}

/** The same networks and names there; addresses are a workload's own. */
function toAttachment({ networkId, aliases }: Endpoint): NetworkAttachment {
  return { network: networkId, aliases };
}

/** Of the ports that the source has on the host, a copy has others. */
function withAnyPorts(spec: WorkloadSpec): WorkloadSpec {
  return { ...spec, ports: spec.ports.map(({ hostPorts: _, ...port }) => port) };
}

function requireRestore(ctx: EngineContext, source: WorkloadRecord): NonNullable<Driver['restore']> {
  const driver = ctx.drivers.get(source.spec.isolation);
  if (driver?.restore !== undefined) return driver.restore.bind(driver);
  throw new BerthError('unsupported', `isolation ${source.spec.isolation} cannot restore running state`);
}

async function copyRecord(
  ctx: EngineContext,
  source: WorkloadRecord,
  id: string,
  name: string,
): Promise<WorkloadRecord> {
  const image = await ctx.images.get(source.imageId);
  const layers = await ctx.images.layers(image);
  const { config } = source;
  const spec = withAnyPorts(source.spec);
  const inputs = { id, dir: join(ctx.workloadsDir, id), spec, image, layers, config };
  const { mounts } = source.instance;
  const { failure: _, ...kept } = source;
  return {
    ...kept,
    ...{ id, name, spec, createdAt: new Date().toISOString() },
    instance: resolveInstance({ ...inputs, mounts, cgroupParent: ctx.workloadGroup.path }),
    ...{
      endpoints: [],
      published: [],
      anonymousVolumes: [],
      manuallyStopped: false,
      restartCount: 0,
      error: '',
    },
  };
}

/** Whatever state it is in, it is gone afterwards. */
export async function endInstance(instance: Instance): Promise<void> {
  const { state } = await instance.state();
  if (state === 'running' || state === 'paused') {
    const end = instance.wait();
    // It may be quicker.
    await instance.kill(SIGKILL).catch(() => {});
    await within(end, { limitMs: END_LIMIT_MS }, `instance ${instance.id}, killed,`);
  }
  await instance.remove();
}
