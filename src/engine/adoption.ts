// At the start of the daemon: take over what lives, finish or undo what was half done, start what wants to run.

import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { BerthError, errorMessage, type Instance } from '../core/index.ts';
import { settleLimits } from './changes.ts';
import { endInstance } from './checkpoints/copies.ts';
import type { EngineContext } from './context.ts';
import { restoreNetworks } from './networks/membership.ts';
import { readRecord, type WorkloadRecord } from './records.ts';
import { removeVolumes, removeWorkload } from './removal.ts';
import { shouldResume } from './restart-policy.ts';
import { follow, launch } from './runs.ts';
import { Workload } from './workload.ts';

const MAX_ADOPTING = 8;
const MAX_STARTING = 4;

/** Resolves when every workload is taken over; the starts and removals that follow from that go on beside. */
export async function adoptAll(ctx: EngineContext): Promise<void> {
  const found: Workload[] = [];
  await eachBounded(await readdir(ctx.workloadsDir), MAX_ADOPTING, async (id) => {
    const workload = await adoptFolder(ctx, id);
    if (workload !== undefined) found.push(workload);
  });
  found.sort((a, b) => (a.record.createdAt < b.record.createdAt ? -1 : 1));
  await restoreNetworks(ctx, found);
  for (const workload of found) enlist(ctx, workload);
  const wanting = found.filter(wantsToRun);
  if (wanting.length === 0) return;
  ctx.background('starting what was running', () =>
    eachBounded(wanting, MAX_STARTING, (workload) => resume(ctx, workload)),
  );
}

/** The workload of the folder; undefined when there is none to keep. */
async function adoptFolder(ctx: EngineContext, id: string): Promise<Workload | undefined> {
  const dir = join(ctx.workloadsDir, id);
  try {
    const found = await readRecord(dir, id);
    switch (found.kind) {
      case 'damaged':
        ctx.log(`container ${id}: its record cannot be read, it is left as it is: ${found.reason}`);
        return undefined;
      case 'empty':
        await ctx.trash.discard(dir);
        return undefined;
      case 'creating':
      case 'removing':
        await undo(ctx, found.record, found.kind === 'creating');
        return undefined;
      case 'record':
        return await adopt(ctx, found.record);
    }
  } catch (error) {
    ctx.log(`container ${id}: ${dir} is left for the next start: ${errorMessage(error)}`);
    return undefined;
  }
}

async function undo(ctx: EngineContext, record: WorkloadRecord, volumes: boolean): Promise<void> {
  const instance = await adoptInstance(ctx, record);
  await endInstance(instance);
  await ctx.trash.discard(record.instance.dir);
  if (volumes) await removeVolumes(ctx, record.anonymousVolumes);
}

async function adopt(ctx: EngineContext, record: WorkloadRecord): Promise<Workload> {
  try {
    const instance = await adoptInstance(ctx, record);
    const workload = new Workload(record, instance);
    workload.observe(await instance.state());
    return workload;
  } catch (error) {
    const workload = new Workload(record, undefined);
    workload.observe({ state: 'unknown', reason: errorMessage(error) });
    ctx.log(`container ${record.name} could not be taken over: ${errorMessage(error)}`);
    return workload;
  }
}

async function adoptInstance(ctx: EngineContext, record: WorkloadRecord): Promise<Instance> {
  const driver = ctx.drivers.get(record.spec.isolation);
  if (driver !== undefined) return await driver.adopt(record.instance);
  throw new BerthError('unsupported', `this daemon has no driver for isolation ${record.spec.isolation}`);
}

function enlist(ctx: EngineContext, workload: Workload): void {
  if (ctx.registry.isTaken(workload.name)) {
    ctx.log(`container ${workload.id}: another has its name ${workload.name}, it is named by its id now`);
    ctx.background('record', () => workload.update({ name: workload.id }));
  }
  ctx.registry.reserveName(workload.name, workload.id);
  ctx.registry.add(workload);
  if (workload.record.changing !== undefined)
    ctx.background(`limits of container ${workload.name}`, () => settleLimits(ctx, workload));
  if (workload.running) follow(ctx, workload);
  else if (workload.state === 'exited' && workload.record.spec.autoRemove)
    ctx.background(`removal of container ${workload.name}`, () =>
      removeWorkload(ctx, workload, { force: false, volumes: true }),
    );
}

function wantsToRun({ state, record, lastExit }: Workload): boolean {
  const { restartCount, manuallyStopped } = record;
  return (
    state === 'exited' &&
    shouldResume(record.spec.restart, { exitCode: lastExit.code, restartCount, manuallyStopped })
  );
}

async function resume(ctx: EngineContext, workload: Workload): Promise<void> {
  try {
    await workload.lock.run(async () => {
      // Someone may have been quicker.
      if (workload.state !== 'exited' || workload.removing || ctx.closing.aborted) return;
      if (workload.record.manuallyStopped) await workload.update({ manuallyStopped: false });
      await launch(ctx, workload);
    });
  } catch (error) {
    ctx.log(`container ${workload.name} could not be started again: ${errorMessage(error)}`);
  }
}

async function eachBounded<T>(
  items: readonly T[],
  limit: number,
  work: (item: T) => Promise<void>,
): Promise<void> {
  const queue = items.values();
  const worker = async () => {
    for (const item of queue) await work(item);
  };
  await Promise.all(Array.from({ length: Math.min(limit, items.length) }, worker));
}
