// Machines that this process keeps for later starts. Their folders are named after it: what another one left is waste, as
// its shims ended with it.

import { randomBytes } from 'node:crypto';
import { mkdir, readdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { BerthError } from '../../core/index.ts';
import { encodeFields } from '../../formats/frames.ts';
import { ShimClient } from '../../guest/index.ts';
import { spawnDetached } from '../../host/index.ts';
import type { FieldRecord } from './config.ts';

const OWNER = `${process.pid}-${Math.round(performance.timeOrigin)}`;

export interface Kept {
  readonly id: string;
  readonly dir: string;
}

/** A folder of its own for a machine to be kept. */
export async function makeKept(parent: string): Promise<Kept> {
  const id = randomBytes(32).toString('hex');
  const dir = join(parent, `${OWNER}.${id.slice(0, 12)}`);
  await mkdir(dir, { recursive: true, mode: 0o700 });
  return { id, dir };
}

/** The shim of a machine that is no instance. */
export interface Keeper {
  readonly client: ShimClient;
  /** Resolves when its process has ended, and with it all that it made. */
  readonly ended: Promise<unknown>;
}

/** Starts the shim of a machine that is no instance yet, from its vm.machine; it waits for `hold`. */
export async function startKept(
  shimPath: string,
  kept: Kept,
  machine: FieldRecord,
  options: readonly string[] = [],
): Promise<Keeper> {
  await writeKept(kept, machine);
  return spawnKeeper(shimPath, kept, options);
}

async function writeKept({ dir }: Kept, machine: FieldRecord): Promise<void> {
  await Promise.all([
    writeFile(join(dir, 'vm.machine'), encodeFields(machine)),
    ...['vm.guest', 'vm.main'].map((name) => writeFile(join(dir, name), '')),
  ]);
}

function spawnKeeper(shimPath: string, { id, dir }: Kept, options: readonly string[]) {
  const child = spawnDetached(shimPath, ['vm', `--dir=${dir}`, `--id=${id}`, ...options], {
    extra: ['socket'],
  });
  const socket = child.sockets[0];
  if (socket === undefined) throw new BerthError('internal', `${shimPath} cannot be started`);
  const { pid } = child;
  return { client: ShimClient.started(dir, socket), ended: child.exit.catch(() => {}), pid };
}

/** The shims of machines that are kept, so that none outlives this process's orderly end. */
export class Keepers {
  readonly #shimPath: string;
  readonly #all = new Map<ShimClient, { readonly ended: Promise<unknown>; readonly pid: number }>();
  #closed = false;

  constructor(shimPath: string) {
    this.#shimPath = shimPath;
  }

  /** As `startKept`. Fails with `cancelled` when they are being closed. */
  async start(kept: Kept, machine: FieldRecord, options: readonly string[] = []): Promise<Keeper> {
    await writeKept(kept, machine);
    if (this.#closed) throw new BerthError('cancelled', 'no machine is made any more');
    const keeper = spawnKeeper(this.#shimPath, kept, options);
    this.#all.set(keeper.client, keeper);
    void keeper.ended.then(() => this.#all.delete(keeper.client));
    return keeper;
  }

  /** The shim supervises an instance from now on. */
  release(client: ShimClient): void {
    this.#all.delete(client);
  }

  /** Ends all; one that does not end in time is killed, and its machine with it. */
  async close(): Promise<void> {
    this.#closed = true;
    const ends = [...this.#all.values()].map(({ ended }) => ended);
    for (const client of this.#all.keys()) client.close();
    await settled(ends);
    for (const { pid } of this.#all.values())
      try {
        process.kill(pid, 'SIGKILL');
      } catch {
        // The shim has just gone.
      }
    await settled(ends);
  }
}

/** What is ended in the middle of being made has this long to go. */
const END_LIMIT_MS = 3_000;

/** Resolves when all of it has come to an end, good or bad, or has had time enough; the process lives on until then. */
export async function settled(work: Iterable<Promise<unknown> | undefined>): Promise<void> {
  const limit = Promise.withResolvers<void>();
  const timer = setTimeout(limit.resolve, END_LIMIT_MS);
  await Promise.race([Promise.allSettled([...work]), limit.promise]);
  clearTimeout(timer);
}

/** Removes what other processes left. */
export async function sweepKept(parent: string): Promise<void> {
  const names = await readdir(parent).catch(() => []);
  const others = names.filter((name) => !name.startsWith(`${OWNER}.`));
  await Promise.all(others.map((name) => rm(join(parent, name), { recursive: true, force: true })));
}
