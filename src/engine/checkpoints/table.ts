// Running states that are kept, and copies made from them or straight from a workload that runs.
//   checkpoints/ID/record.json  written last: without it the folder is waste of a daemon that died
//   checkpoints/ID/state/       the driver's
//   checkpoints/fork-…/         what a fork that is under way was captured into

import { randomBytes } from 'node:crypto';
import { mkdir, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { BerthError, errorMessage, isBerthError, type Origin } from '../../core/index.ts';
import { readIfExists, writeAtomic } from '../../host/index.ts';
import { reach } from '../adoption.ts';
import type { Checkpoint, Checkpoints, CopyOptions } from '../api.ts';
import type { EngineContext } from '../context.ts';
import { requireRunning } from '../lifecycle.ts';
import { checkRecord, type WorkloadRecord } from '../records.ts';
import { parseName } from '../resolve/index.ts';
import type { Workload } from '../workload.ts';
import { checkCopies, makeCopies } from './copies.ts';

interface CheckpointRecord extends Checkpoint {
  readonly version: 1;
  readonly source: WorkloadRecord;
}

export class CheckpointTable implements Checkpoints {
  readonly #ctx: EngineContext;
  readonly #root: string;
  readonly #records = new Map<string, CheckpointRecord>();
  /** Names of those that are being made. */
  readonly #coming = new Set<string>();
  /** How many copies are being made from each: it cannot go meanwhile. */
  readonly #busy = new Map<string, number>();

  private constructor(ctx: EngineContext, root: string) {
    this.#ctx = ctx;
    this.#root = root;
  }

  /** Reads what is there; what an earlier daemon had not finished is waste. */
  static async open(ctx: EngineContext, root: string): Promise<CheckpointTable> {
    const table = new CheckpointTable(ctx, root);
    await mkdir(root, { recursive: true, mode: 0o700 });
    await Promise.all((await readdir(root)).map((name) => table.#read(name)));
    return table;
  }

  async #read(id: string): Promise<void> {
    const folder = join(this.#root, id);
    const text = await readIfExists(join(folder, 'record.json'));
    if (text === undefined) return this.#ctx.trash.discard(folder);
    try {
      const record = JSON.parse(text) as CheckpointRecord;
      if (record.version !== 1 || record.id !== id) throw new RangeError('it is not of this checkpoint');
      this.#records.set(id, { ...record, source: checkRecord(record.source, record.workloadId) });
    } catch (error) {
      this.#ctx.log(
        `checkpoint ${id}: its record cannot be read, ${folder} is left as it is: ${errorMessage(error)}`,
      );
    }
  }

  list(): readonly Checkpoint[] {
    return [...this.#records.values()].map(toView).sort((a, b) => (a.createdAt < b.createdAt ? 1 : -1));
  }

  get(reference: string): Checkpoint {
    return toView(this.#find(reference));
  }

  imagesInUse(): ReadonlyMap<string, readonly string[]> {
    const users = new Map<string, string[]>();
    for (const { source, name } of this.#records.values())
      users.set(source.imageId, [...(users.get(source.imageId) ?? []), `checkpoint ${name}`]);
    return users;
  }

  async create(reference: string, options: { readonly name?: string } = {}): Promise<Checkpoint> {
    const workload = await reach(this.#ctx, reference);
    const name = this.#newName(workload, options.name);
    this.#coming.add(name);
    const id = randomBytes(32).toString('hex');
    const folder = join(this.#root, id);
    await using undo = new AsyncDisposableStack();
    undo.defer(() => void this.#coming.delete(name));
    await mkdir(join(folder, 'state'), { recursive: true, mode: 0o700 });
    undo.defer(() => this.#ctx.trash.discard(folder));
    const saved = await this.#capture(workload, (source) => source.save(join(folder, 'state')));
    const record: CheckpointRecord = {
      ...{ version: 1, id, name, createdAt: new Date().toISOString() },
      ...{
        workloadId: workload.id,
        workloadName: workload.name,
        image: workload.record.spec.image,
        ...saved,
      },
      source: workload.record,
    };
    await writeAtomic(join(folder, 'record.json'), JSON.stringify(record), { durable: true });
    undo.move();
    this.#coming.delete(name);
    this.#records.set(id, record);
    this.#ctx.events.publish(workload.event('checkpoint', { checkpoint: name }));
    return toView(record);
  }

  async remove(reference: string): Promise<void> {
    const { id, name } = this.#find(reference);
    if (this.#busy.has(id))
      throw new BerthError('conflict', `checkpoint ${name} is being restored; try again when that is done`);
    this.#records.delete(id);
    await this.#ctx.trash.discard(join(this.#root, id));
  }

  async restore(reference: string, options: CopyOptions = {}): Promise<readonly string[]> {
    checkCopies(options);
    const record = this.#find(reference);
    const driver = this.#ctx.drivers.get(record.source.spec.isolation);
    if (driver?.openCheckpoint === undefined)
      throw new BerthError(
        'unsupported',
        `checkpoint ${record.name} is of an isolation that this daemon does not have`,
      );
    this.#busy.set(record.id, (this.#busy.get(record.id) ?? 0) + 1);
    try {
      await using origin = await named(
        record.name,
        driver.openCheckpoint(join(this.#root, record.id, 'state')),
      );
      return await this.#copies(record.source, origin, options);
    } finally {
      const left = (this.#busy.get(record.id) ?? 1) - 1;
      if (left > 0) this.#busy.set(record.id, left);
      else this.#busy.delete(record.id);
    }
  }

  async fork(
    reference: string,
    options: CopyOptions = {},
  ): Promise<{ readonly ids: readonly string[]; readonly pauseMs: number }> {
    checkCopies(options);
    const workload = await reach(this.#ctx, reference);
    const folder = join(this.#root, `fork-${randomBytes(8).toString('hex')}`);
    await mkdir(folder, { mode: 0o700 });
    await using _folder = { [Symbol.asyncDispose]: () => this.#ctx.trash.discard(folder) };
    let run = workload.run;
    await using origin = await this.#capture(workload, (source) => {
      run = workload.run;
      return source.capture(folder);
    });
    const ids = await this.#copies(workload.record, origin, options).catch((cause: unknown) => {
      // What was captured goes with the supervisor of the run.
      if (workload.run === run || !isBerthError(cause, 'internal')) throw cause;
      throw new BerthError('conflict', `${workload.name} has ended while it was forked`, { cause });
    });
    this.#ctx.events.publish(workload.event('fork', { copies: String(ids.length) }));
    return { ids, pauseMs: origin.pauseMs ?? 0 };
  }

  async #copies(source: WorkloadRecord, origin: Origin, options: CopyOptions): Promise<readonly string[]> {
    const copies = await makeCopies(this.#ctx, source, origin, options);
    return copies.map(({ id }) => id);
  }

  /** Nothing else may change its state meanwhile. */
  async #capture<T>(workload: Workload, work: (source: Capturing) => Promise<T>): Promise<T> {
    return workload.lock.run(async () => {
      requireRunning(workload);
      if (workload.state === 'paused')
        throw new BerthError(
          'conflict',
          `Container ${workload.name} is paused: unpause it before it is captured`,
        );
      return named(workload.name, work(capturing(workload)));
    });
  }

  #newName(workload: Workload, wanted: string | undefined): string {
    const taken = (name: string) =>
      this.#coming.has(name) || [...this.#records.values()].some((record) => record.name === name);
    if (wanted !== undefined) {
      if (taken(wanted))
        throw new BerthError(
          'already-exists',
          `a checkpoint named ${wanted} exists already: choose another name`,
        );
      return parseName(wanted);
    }
    for (let number = 1; ; number++)
      if (!taken(`${workload.name}-${number}`)) return `${workload.name}-${number}`;
  }

  #find(reference: string): CheckpointRecord {
    const all = [...this.#records.values()];
    const exact = all.find(({ id, name }) => id === reference || name === reference);
    if (exact !== undefined) return exact;
    const matches = /^[0-9a-f]+$/.test(reference) ? all.filter(({ id }) => id.startsWith(reference)) : [];
    if (matches.length > 1)
      throw new BerthError('invalid-argument', `${reference} stands for more than one checkpoint`);
    const [match] = matches;
    if (match === undefined)
      throw new BerthError('not-found', `No such checkpoint: ${reference} (berth checkpoint ls shows all)`);
    return match;
  }
}

type Capturing = NonNullable<ReturnType<Workload['requireInstance']>['checkpointing']>;

function capturing(workload: Workload): Capturing {
  const { checkpointing } = workload.requireInstance();
  if (checkpointing !== undefined) return checkpointing;
  throw new BerthError(
    'unsupported',
    `the running state of ${workload.name} cannot be captured: it shares the host's kernel. Run it with --isolation vm, keep its files by \`berth commit\`, or halt it by \`berth pause\``,
  );
}

/** What the driver says, with the name that the user knows. */
async function named<T>(name: string, work: Promise<T>): Promise<T> {
  try {
    return await work;
  } catch (error) {
    if (!(error instanceof BerthError)) throw error;
    const remedy =
      error.code === 'exhausted' ? ': make room, or remove checkpoints (berth checkpoint rm)' : '';
    throw new BerthError(error.code, `${name}: ${error.message}${remedy}`, { cause: error });
  }
}

function toView({ version: _, source: __, ...view }: CheckpointRecord): Checkpoint {
  return view;
}
