// The engine's face for workloads: finds the one meant and hands it to the part that knows what to do.

import { join } from 'node:path';
import type { Readable } from 'node:stream';
import {
  type AttachOptions,
  BerthError,
  type ExitStatus,
  type FileChange,
  type FileStat,
  type Files,
  type Image,
  type InstanceStats,
  isBerthError,
  type NetworkFigures,
  type ProcessIo,
  type ProcessTable,
  type TerminalSize,
  type WorkloadSpec,
  type WorkloadView,
  type WriteOptions,
} from '../core/index.ts';
import type { EndpointCounters } from '../network/index.ts';
import { allocatedBytes } from '../volumes/index.ts';
import { reach } from './adoption.ts';
import type { CommitRequest, LogEntry, LogOptions, Workloads, WorkloadUpdate } from './api.ts';
import { renameWorkload, updateWorkload } from './changes.ts';
import { commitWorkload } from './commit.ts';
import type { EngineContext } from './context.ts';
import { type Created, createWorkload } from './creation.ts';
import * as lifecycle from './lifecycle.ts';
import { readLog } from './logs/index.ts';
import { type RemoveOptions, removeWorkload } from './removal.ts';
import type { Workload } from './workload.ts';

/** Files of the engine and the shim in a workload's folder; all else there is the driver's, and mostly the writable layer. */
const OWN_FILES =
  /^((creating|record|record\.copy|removing)\.json|log\.json|shim\.|exit$|console\.log|config\.json)/;

export class WorkloadTable implements Workloads {
  readonly #ctx: EngineContext;

  constructor(ctx: EngineContext) {
    this.#ctx = ctx;
  }

  create(spec: WorkloadSpec, name?: string): Promise<Created> {
    return createWorkload(this.#ctx, spec, name);
  }

  list(): readonly WorkloadView[] {
    const newestFirst = this.#ctx.registry.all().reverse();
    return newestFirst.map((workload) => workload.view());
  }

  get(reference: string): WorkloadView {
    return this.#find(reference).view();
  }

  async inspect(reference: string): Promise<WorkloadView> {
    return (await this.#reach(reference)).view();
  }

  async start(reference: string): Promise<boolean> {
    return await lifecycle.startWorkload(this.#ctx, await this.#reach(reference));
  }

  async stop(reference: string, options: lifecycle.StopOptions = {}): Promise<boolean> {
    return await lifecycle.stopWorkload(this.#ctx, this.#find(reference), options);
  }

  async restart(reference: string, options: lifecycle.StopOptions = {}): Promise<void> {
    await lifecycle.restartWorkload(this.#ctx, await this.#reach(reference), options);
  }

  async kill(reference: string, signal?: string): Promise<void> {
    await lifecycle.killWorkload(this.#ctx, this.#find(reference), signal);
  }

  async pause(reference: string): Promise<void> {
    await lifecycle.pauseWorkload(this.#ctx, await this.#reach(reference));
  }

  async resume(reference: string): Promise<void> {
    await lifecycle.resumeWorkload(this.#ctx, await this.#reach(reference));
  }

  async rename(reference: string, name: string): Promise<void> {
    await renameWorkload(this.#ctx, await this.#reach(reference), name);
  }

  async update(reference: string, change: WorkloadUpdate): Promise<{ readonly warnings: readonly string[] }> {
    return await updateWorkload(this.#ctx, await this.#reach(reference), change);
  }

  async remove(reference: string, options: RemoveOptions): Promise<void> {
    await removeWorkload(this.#ctx, this.#find(reference), options);
  }

  /** Armed in the call itself: what happens after it is not missed. */
  async wait(
    reference: string,
    condition: 'not-running' | 'next-exit' | 'removed',
    signal?: AbortSignal,
  ): Promise<ExitStatus> {
    const workload = this.#find(reference);
    if (workload.adopting) await this.#reach(reference);
    if (condition === 'next-exit') return await workload.exits.next(signal);
    if (condition === 'removed') return await workload.removals.next(signal);
    if (workload.active) return await workload.stops.next(signal);
    if (workload.state !== 'unknown') return workload.lastExit;
    throw new BerthError(
      'unavailable',
      `the state of container ${workload.name} is not known: ${workload.stateReason ?? 'no reason was given'}`,
    );
  }

  async attach(reference: string, options: AttachOptions): Promise<ProcessIo> {
    const workload = await this.#reach(reference);
    if (workload.state === 'paused')
      throw lifecycle.conflict(`Container ${workload.id} is paused, unpause the container before attach`);
    if (workload.restarting) lifecycle.requireRunning(workload);
    const io = await workload.requireInstance().attach(options);
    this.#publish(workload, 'attach');
    return io;
  }

  async resize(reference: string, size: TerminalSize): Promise<void> {
    const workload = await this.#reach(reference);
    // Asked for before there is a terminal: it is made with this size.
    if (workload.state === 'created') {
      workload.nextSize = size;
      return;
    }
    lifecycle.requireRunning(workload);
    await workload.requireInstance().resize(size);
    this.#publish(workload, 'resize', { height: String(size.rows), width: String(size.columns) });
  }

  async top(reference: string, psArgs: readonly string[]): Promise<ProcessTable> {
    const workload = await this.#reach(reference);
    lifecycle.requireRunning(workload);
    const table = await this.#capability(workload, 'processes', 'list processes')(psArgs);
    this.#publish(workload, 'top');
    return table;
  }

  async stats(reference: string): Promise<InstanceStats> {
    const workload = await this.#reach(reference);
    lifecycle.requireRunning(workload);
    return await this.#capability(workload, 'stats', 'measure')();
  }

  async networkFigures(reference: string): Promise<ReadonlyMap<string, NetworkFigures>> {
    const { running, record } = await this.#reach(reference);
    if (!running || record.endpoints.length === 0) return new Map();
    return await this.#ctx.networking.figures(record.endpoints);
  }

  async networkCounters(reference: string): Promise<ReadonlyMap<string, EndpointCounters>> {
    const { running, record } = await this.#reach(reference);
    if (!running || record.endpoints.length === 0) return new Map();
    return await this.#ctx.networking.counters(record.endpoints);
  }

  async logs(reference: string, options: LogOptions): Promise<AsyncIterable<LogEntry>> {
    const workload = await this.#reach(reference);
    const { spec, instance } = workload.record;
    if (spec.log.driver === 'none')
      throw new BerthError('unsupported', 'configured logging driver does not support reading');
    const path = join(instance.dir, 'log.json');
    const { follow, ...window } = options;
    if (!follow || !workload.active) return readLog(path, window);
    return this.#followLog(workload, path, window);
  }

  async *#followLog(
    workload: Workload,
    path: string,
    window: Omit<LogOptions, 'follow'>,
  ): AsyncGenerator<LogEntry> {
    const ended = new AbortController();
    const given = new AbortController();
    if (workload.active)
      workload.stops
        .next(given.signal)
        .then(() => ended.abort())
        .catch(() => ended.abort());
    else ended.abort();
    try {
      yield* readLog(path, { ...window, ended: ended.signal });
    } finally {
      given.abort();
    }
  }

  async changes(reference: string): Promise<readonly FileChange[]> {
    const workload = await this.#reach(reference);
    return await unlessRemoved(workload, this.#files(workload).changes());
  }

  async statPath(reference: string, path: string): Promise<FileStat> {
    const workload = await this.#reach(reference);
    return await named(workload, path, this.#files(workload).stat(path));
  }

  async readArchive(
    reference: string,
    path: string,
  ): Promise<{ readonly stat: FileStat; readonly tar: Readable }> {
    const workload = await this.#reach(reference);
    const files = this.#files(workload);
    const stat = await named(workload, path, files.stat(path));
    const tar = await unlessRemoved(workload, files.read(path));
    this.#publish(workload, 'archive-path', { path });
    return { stat, tar };
  }

  async writeArchive(reference: string, path: string, tar: Readable, options: WriteOptions): Promise<void> {
    const workload = await this.#reach(reference);
    await named(workload, path, this.#files(workload).write(path, tar, options));
    this.#publish(workload, 'extract-to-dir', { path });
  }

  async export(reference: string): Promise<Readable> {
    const workload = await this.#reach(reference);
    const tar = await unlessRemoved(workload, this.#files(workload).read(''));
    this.#publish(workload, 'export');
    return tar;
  }

  async commit(reference: string, request: CommitRequest): Promise<Image> {
    const workload = await this.#reach(reference);
    const commit = commitWorkload(this.#ctx, workload, this.#files(workload), request);
    return await unlessRemoved(workload, commit);
  }

  async prune(
    filter: (view: WorkloadView) => boolean,
  ): Promise<{ readonly removed: readonly string[]; readonly reclaimedBytes: number }> {
    const removed: string[] = [];
    let reclaimedBytes = 0;
    for (const workload of this.#ctx.registry.all()) {
      const idle = !workload.active && !workload.removing && workload.state !== 'unknown';
      if (!idle || !filter(workload.view())) continue;
      const bytes = await this.writableBytes(workload.id);
      // Someone may have started or removed it meanwhile: then it is not ours to prune.
      if (!(await this.#removeIdle(workload))) continue;
      removed.push(workload.id);
      reclaimedBytes += bytes;
    }
    return { removed, reclaimedBytes };
  }

  async #removeIdle(workload: Workload): Promise<boolean> {
    try {
      await removeWorkload(this.#ctx, workload, { force: false, volumes: false });
      return true;
    } catch (error) {
      if (isBerthError(error, 'conflict')) return false;
      throw error;
    }
  }

  async writableBytes(reference: string): Promise<number> {
    const { instance, record } = await this.#reach(reference);
    if (instance?.writableBytes !== undefined) return await instance.writableBytes();
    return await allocatedBytes(record.instance.dir, (name) => OWN_FILES.test(name));
  }

  #reach(reference: string): Promise<Workload> {
    return reach(this.#ctx, reference);
  }

  #find(reference: string): Workload {
    return this.#ctx.registry.find(reference);
  }

  #publish(workload: Workload, action: string, attributes: Readonly<Record<string, string>> = {}): void {
    this.#ctx.events.publish(workload.event(action, attributes));
  }

  #files(workload: Workload): Files {
    const { files } = workload.requireInstance();
    if (files !== undefined) return files;
    throw unsupported(workload, 'copy files');
  }

  #capability<K extends 'processes' | 'stats'>(workload: Workload, key: K, verb: string) {
    const capability = workload.requireInstance()[key];
    if (capability === undefined) throw unsupported(workload, verb);
    return capability;
  }
}

function unsupported({ name, record }: Workload, verb: string): BerthError {
  return new BerthError(
    'unsupported',
    `cannot ${verb} of container ${name}: isolation ${record.spec.isolation} cannot do it`,
  );
}

/** Files that go while they are read are no failure of the daemon's. */
async function unlessRemoved<T>(workload: Workload, work: Promise<T>): Promise<T> {
  try {
    return await work;
  } catch (error) {
    if (!workload.removing) throw error;
    throw new BerthError('conflict', `container ${workload.name} is being removed`, { cause: error });
  }
}

/** Docker's words for a path that is not there. */
async function named<T>(workload: Workload, path: string, work: Promise<T>): Promise<T> {
  try {
    return await unlessRemoved(workload, work);
  } catch (error) {
    if (!isBerthError(error, 'not-found')) throw error;
    throw new BerthError('not-found', `Could not find the file ${path} in container ${workload.id}`, {
      cause: error,
    });
  }
}
