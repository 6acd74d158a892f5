// Puts the parts of the engine together and takes them apart again.

import { mkdir, realpath } from 'node:fs/promises';
import { join } from 'node:path';
import {
  BerthError,
  type Config,
  DEFAULT_CONFIG,
  type Driver,
  type DriverProbe,
  errorMessage,
  type ImageStore,
  type Isolation,
} from '../core/index.ts';
import { openWorkloadGroup, settlesWithin } from '../host/index.ts';
import { openNetworking } from '../network/index.ts';
import { VolumeStore } from '../volumes/index.ts';
import { adoptAll } from './adoption.ts';
import type { Engine, EngineFigures } from './api.ts';
import { CheckpointTable } from './checkpoints/table.ts';
import type { EngineContext } from './context.ts';
import { EventLog } from './events.ts';
import { ExecTable } from './execs.ts';
import { StartCounter } from './figures/starts.ts';
import { networkHost } from './networks/host.ts';
import { PolicyTable } from './networks/policies.ts';
import { NetworkTable } from './networks/table.ts';
import { Registry } from './registry.ts';
import { Trash } from './trash.ts';
import { VolumeTable } from './volumes.ts';
import { WorkloadTable } from './workloads.ts';

export interface EngineOptions {
  /** State folder of this daemon; made if absent. The caller holds its lock: one engine per root. */
  readonly root: string;
  readonly images: ImageStore;
  readonly drivers: readonly Driver[];
  /** Settings of the moment; default: what nobody changed. */
  readonly config?: () => Config;
  /** berth-shim; without it volumes can have no size limit, and flows to a port outlive their workload. */
  readonly shimPath?: string;
  /** berth-unpack; without it volumes cannot be restored. */
  readonly unpackPath?: string;
  /** This process leaves the control group that it was started in. */
  readonly ownGroup?: boolean;
  /** For what cannot be told to a client. Default: standard error. */
  readonly log?: (line: string) => void;
}

/** Work under way when the engine closes has this long to notice. */
const CLOSE_LIMIT_MS = 3_000;
/** Clean-up under way then has this long to end: one that meets a supervisor which does not answer kills it after 5 s. */
const CLEAN_UP_LIMIT_MS = 15_000;
const NO_DRIVER: DriverProbe = {
  usable: false,
  probes: [
    {
      name: 'driver',
      ok: false,
      detail: 'this daemon was started without a driver for this isolation',
    },
  ],
  facts: {},
};

/** Opens the state of `root`; resolves when all workloads of an earlier daemon are taken over. */
export async function openEngine(options: EngineOptions): Promise<Engine> {
  const log = options.log ?? ((line) => console.error(line));
  const tasks: Tasks = { background: new Set(), cleanUp: new Set() };
  const closing = new AbortController();
  const ctx = await openContext(options, log, closing.signal, tasks);
  await adoptAll(ctx);
  const checkpoints = await CheckpointTable.open(ctx, join(options.root, 'checkpoints'));
  return {
    checkpoints,
    workloads: new WorkloadTable(ctx),
    execs: new ExecTable(ctx),
    volumes: new VolumeTable(ctx),
    networks: new NetworkTable(ctx),
    policies: new PolicyTable(ctx),
    networkHost: networkHost(ctx),
    events: ctx.events,
    imagesInUse: () => merged(ctx.registry.imagesInUse(), checkpoints.imagesInUse()),
    probes: () => probeAll(ctx),
    figures: () => countAll(ctx),
    close: async () => {
      closing.abort();
      letGo(ctx);
      await Promise.all([
        settlesWithin(ended(tasks.background), CLOSE_LIMIT_MS),
        settlesWithin(ended(tasks.cleanUp), CLEAN_UP_LIMIT_MS),
      ]);
      await ctx.networking.close();
      await Promise.all([ctx.trash.close(), ...[...ctx.drivers.values()].map((driver) => driver.close?.())]);
      if (ctx.registry.all().length === 0) await ctx.workloadGroup.remove().catch(() => {});
    },
  };
}

/** Work beside everything else that has not ended yet. */
type Tasks = Readonly<Record<'background' | 'cleanUp', Set<Promise<void>>>>;

/** Resolves when none is left, begun meanwhile or not. */
async function ended(tasks: ReadonlySet<Promise<void>>): Promise<void> {
  while (tasks.size > 0) await Promise.all(tasks);
}

type Users = ReadonlyMap<string, readonly string[]>;

function merged(first: Users, second: Users): Users {
  const all = new Map(first);
  for (const [id, names] of second) all.set(id, [...(all.get(id) ?? []), ...names]);
  return all;
}

async function openContext(
  options: EngineOptions,
  log: (line: string) => void,
  closing: AbortSignal,
  tasks: Tasks,
): Promise<EngineContext> {
  await mkdir(options.root, { recursive: true, mode: 0o700 });
  const root = await realpath(options.root);
  const workloadGroup = await openWorkloadGroup(root, log);
  if (options.ownGroup === true) await workloadGroup.enter();
  const workloadsDir = join(root, 'workloads');
  await mkdir(workloadsDir, { recursive: true, mode: 0o700 });
  const trash = await Trash.open(join(root, 'trash'), log);
  const registry = new Registry();
  const volumes = await VolumeStore.open({
    root: join(root, 'volumes'),
    users: (name) => registry.usersOf(name),
    discard: (folder) => trash.discard(folder),
    ...(options.shimPath === undefined ? {} : { shimPath: options.shimPath }),
    ...(options.unpackPath === undefined ? {} : { unpackPath: options.unpackPath }),
    log,
  });
  const doBeside = (kind: keyof Tasks) => (what: string, work: () => Promise<void>) => {
    const task = work()
      .catch((error: unknown) => {
        if (!closing.aborted || kind === 'cleanUp') log(`${what}: ${errorMessage(error)}`);
      })
      .finally(() => tasks[kind].delete(task));
    tasks[kind].add(task);
  };
  return {
    workloadsDir,
    workloadGroup,
    drivers: new Map(options.drivers.map((driver) => [driver.name, driver])),
    images: options.images,
    events: new EventLog(),
    volumes,
    networking: await openNetworking({
      root,
      ...(options.shimPath === undefined ? {} : { shimPath: options.shimPath }),
      log,
    }),
    config: options.config ?? (() => DEFAULT_CONFIG),
    registry,
    trash,
    starts: new StartCounter(),
    closing,
    log,
    background: doBeside('background'),
    cleanUp: doBeside('cleanUp'),
  };
}

/** Probes run together; the first call may take seconds. */
async function probeAll(ctx: EngineContext): Promise<Readonly<Record<Isolation, DriverProbe>>> {
  const probe = async (name: Isolation) => (await ctx.drivers.get(name)?.probe()) ?? NO_DRIVER;
  const [container, vm] = await Promise.all([probe('container'), probe('vm')]);
  return { container, vm };
}

function countAll(ctx: EngineContext): EngineFigures {
  const of = (name: Isolation) => {
    const kept = ctx.drivers.get(name)?.figures?.();
    return { starts: ctx.starts.figures(name), ...(kept === undefined ? {} : { kept }) };
  };
  return { container: of('container'), vm: of('vm') };
}

function letGo(ctx: EngineContext): void {
  const closed = new BerthError('unavailable', 'the daemon is shutting down');
  for (const workload of ctx.registry.all()) {
    clearTimeout(workload.restartTimer);
    workload.health?.stop();
    for (const waiters of [workload.exits, workload.stops, workload.removals]) waiters.reject(closed);
    workload.instance?.release?.();
  }
  ctx.events.close();
}
