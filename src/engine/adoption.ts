// At the start of the daemon: what is there is read and reserved first, then taken over beside the work of the daemon, as
// a supervisor may take any time to answer: take over what lives, finish or undo what was half done, start what wants to run.

import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { errorMessage, type Instance, type Isolation } from '../core/index.ts';
import { Semaphore, settlesWithin } from '../host/index.ts';
import { settleLimits } from './changes.ts';
import { endInstance } from './checkpoints/copies.ts';
import { driverOf, type EngineContext } from './context.ts';
import { leaveNetworks, plugMissing, restoreNetworks } from './networks/membership.ts';
import { readRecord, type WorkloadRecord } from './records.ts';
import { removeVolumes, removeWorkload } from './removal.ts';
import { shouldResume } from './restart-policy.ts';
import { follow, launch } from './runs.ts';
import { standIn } from './stand-in.ts';
import { Workload } from './workload.ts';

const MAX_READING = 32;
const MAX_STARTING = 4;
/** Wait for take-overs before the first request: it then finds all workloads whose supervisors answer. */
const HEAD_START_MS = 1_000;
/** Requests wait this long for a workload that is being taken over. */
const REQUEST_PATIENCE_MS = 10_000;
/** Limit for asking the supervisor of a half-made or half-removed workload, before it is killed. */
const HALF_DONE_LIMIT_MS = 5_000;
const FIRST_RETRY_MS = 500;
const LAST_RETRY_MS = 60_000;

/** A workload that was being made or removed when the last daemon died; `volumes`: its anonymous volumes go too. */
interface HalfDone {
  readonly record: WorkloadRecord;
  readonly volumes: boolean;
}

/** A recorded workload; `lives` says whether a supervisor lives that may run it. */
export interface Found {
  readonly workload: Workload;
  readonly lives: boolean;
}

/**
 * Resolves when names, addresses and ports of all workloads are reserved. Restoring their networks, taking them over, and
 * the starts and removals that follow from it, go on beside.
 */
export async function adoptAll(ctx: EngineContext): Promise<void> {
  const found: Found[] = [];
  const halves: HalfDone[] = [];
  await eachBounded(await readdir(ctx.workloadsDir), MAX_READING, (id) => read(ctx, id, found, halves));
  found.sort((a, b) => (a.workload.record.createdAt < b.workload.record.createdAt ? -1 : 1));
  for (const { workload } of found) enlist(ctx, workload);
  for (const { record } of halves)
    for (const endpoint of record.endpoints) ctx.networking.addresses.claim(endpoint, record.id);
  if (found.some(({ workload }) => workload.record.lost !== undefined))
    await cutOff(ctx, [
      ...found.map(({ workload }) => workload.record),
      ...halves.map(({ record }) => record),
    ]);
  restoreNetworks(ctx, found);
  for (const half of halves) ctx.cleanUp(`container ${half.record.name}`, () => undo(ctx, half));
  const starts = new Semaphore(MAX_STARTING);
  for (const entry of found)
    ctx.background(`container ${entry.workload.name}`, () => takeOver(ctx, entry, starts));
  await settlesWithin(Promise.all(found.map(({ workload }) => workload.adopted)), HEAD_START_MS);
}

/** Takes ports without a record out of their networks: their addresses are unknown, and will be given to others. */
async function cutOff(ctx: EngineContext, records: readonly WorkloadRecord[]): Promise<void> {
  const known = records.flatMap(({ endpoints }) => endpoints);
  await ctx.networking.cutOffOthers(known).catch((error: unknown) => ctx.log(errorMessage(error)));
}

/** The workload meant; one that is being taken over is waited for, as long as a client can be asked to. */
export async function reach(ctx: EngineContext, reference: string): Promise<Workload> {
  const workload = ctx.registry.find(reference);
  if (workload.adopting) await settlesWithin(workload.adopted, REQUEST_PATIENCE_MS);
  return workload;
}

async function read(ctx: EngineContext, id: string, workloads: Found[], halves: HalfDone[]): Promise<void> {
  const dir = join(ctx.workloadsDir, id);
  try {
    const found = await readRecord(dir, id);
    switch (found.kind) {
      case 'damaged':
        if (await showRunning(ctx, id, workloads, found.reason)) return;
        return ctx.log(`container ${id}: its record cannot be read, it is left as it is: ${found.reason}`);
      case 'empty':
        // A folder without a record is discarded, unless a workload still runs in it.
        if (!(await showRunning(ctx, id, workloads, 'it is gone'))) await ctx.trash.discard(dir);
        return;
      case 'creating':
      case 'removing':
        halves.push({ record: found.record, volumes: found.kind === 'creating' });
        return;
      case 'record':
        if (found.lost !== undefined)
          ctx.log(`container ${found.record.name}: its record is lost, a copy is used: ${found.lost}`);
        workloads.push({
          workload: new Workload(found.record, undefined),
          lives: (await supervisedBy(ctx, dir)) !== undefined,
        });
    }
  } catch (error) {
    ctx.log(`container ${id}: ${dir} is left for the next start: ${errorMessage(error)}`);
  }
}

/** The isolation of the supervisor that lives in the folder. */
async function supervisedBy(ctx: EngineContext, dir: string): Promise<Isolation | undefined> {
  for (const driver of ctx.drivers.values())
    if ((await driver.supervisor(dir)) !== undefined) return driver.name;
  return undefined;
}

/** Whether something runs that no record tells of: it is among the workloads then, by a record that stands in. */
async function showRunning(
  ctx: EngineContext,
  id: string,
  workloads: Found[],
  reason: string,
): Promise<boolean> {
  const isolation = await supervisedBy(ctx, join(ctx.workloadsDir, id));
  if (isolation === undefined) return false;
  const record = await standIn(ctx, id, isolation, reason);
  ctx.log(
    `container ${id}: its record is lost, but it runs: it is named ${record.name} and has no networks: ${reason}`,
  );
  workloads.push({ workload: new Workload(record, undefined), lives: true });
  return true;
}

function enlist(ctx: EngineContext, workload: Workload): void {
  if (ctx.registry.isTaken(workload.name)) {
    ctx.log(`container ${workload.id}: another has its name ${workload.name}, it is named by its id now`);
    ctx.background('record', () => workload.update({ name: workload.id }));
  }
  ctx.registry.reserveName(workload.name, workload.id);
  ctx.registry.add(workload);
  for (const endpoint of workload.record.endpoints) ctx.networking.addresses.claim(endpoint, workload.id);
  workload.observe({
    state: 'unknown',
    reason: 'its supervisor has not answered yet',
  });
}

async function undo(ctx: EngineContext, { record, volumes }: HalfDone): Promise<void> {
  const driver = driverOf(ctx, record);
  const adopting = driver.adopt(record.instance);
  if (!(await settlesWithin(adopting, HALF_DONE_LIMIT_MS))) await driver.end(record.instance);
  await endInstance(await adopting);
  await ctx.trash.discard(record.instance.dir);
  ctx.networking.release(record.endpoints);
  if (volumes) await removeVolumes(ctx, record.anonymousVolumes);
}

/** Takes the workload over, whenever its supervisor answers; what fails is tried again, ever more rarely. */
async function takeOver(ctx: EngineContext, { workload, lives }: Found, starts: Semaphore): Promise<void> {
  const tried = Promise.withResolvers<void>();
  workload.adopting = true;
  workload.adopted = tried.promise;
  for (let waitMs = FIRST_RETRY_MS; ; waitMs = Math.min(2 * waitMs, LAST_RETRY_MS)) {
    try {
      const instance = await driverOf(ctx, workload.record).adopt(workload.record.instance, ctx.closing);
      // A forced end may have taken the workload over meanwhile.
      if (workload.instance === undefined) await taken(ctx, workload, instance, lives);
      break;
    } catch (error) {
      if (ctx.closing.aborted || !ctx.registry.has(workload.id)) break;
      const reason = errorMessage(error);
      if (workload.stateReason !== reason)
        ctx.log(`container ${workload.name} could not be taken over, it will be tried again: ${reason}`);
      workload.stateReason = reason;
      tried.resolve();
      await delay(waitMs, undefined, { ref: false, signal: ctx.closing }).catch(() => {});
    }
  }
  workload.adopting = false;
  tried.resolve();
  if (wantsToRun(workload)) await starts.run(() => resume(ctx, workload));
}

async function taken(
  ctx: EngineContext,
  workload: Workload,
  instance: Instance,
  lives: boolean,
): Promise<void> {
  const status = await instance.state();
  workload.instance = instance;
  workload.observe(status);
  if (workload.record.changing !== undefined)
    ctx.background(`limits of container ${workload.name}`, () => settleLimits(ctx, workload));
  if (workload.running) {
    follow(ctx, workload);
    const plugged = ctx.networking.settled().then(() => plugMissing(ctx, workload));
    ctx.background(`networks of container ${workload.name}`, () => plugged);
    // Requests find the workload in its networks, unless the host takes longer than a client can be asked to wait.
    await settlesWithin(Promise.allSettled([plugged]), REQUEST_PATIENCE_MS);
    return;
  }
  // The workload ended while its networks were restored for it.
  if (lives) leaveNetworks(ctx, workload);
  if (workload.state === 'exited' && workload.record.spec.autoRemove && !workload.removing)
    ctx.background(`removal of container ${workload.name}`, () =>
      removeWorkload(ctx, workload, { force: false, volumes: true }),
    );
}

function wantsToRun({ state, record, lastExit, removing }: Workload): boolean {
  const { restartCount, manuallyStopped } = record;
  return (
    state === 'exited' &&
    !removing &&
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
  const turns = new Semaphore(limit);
  await Promise.all(items.map((item) => turns.run(() => work(item))));
}
