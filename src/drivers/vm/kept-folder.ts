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
  { id, dir }: Kept,
  machine: FieldRecord,
  options: readonly string[] = [],
): Promise<Keeper> {
  await Promise.all([
    writeFile(join(dir, 'vm.machine'), encodeFields(machine)),
    ...['vm.guest', 'vm.main'].map((name) => writeFile(join(dir, name), '')),
  ]);
  const child = spawnDetached(shimPath, ['vm', `--dir=${dir}`, `--id=${id}`, ...options], {
    extra: ['socket'],
  });
  const socket = child.sockets[0];
  if (socket === undefined) throw new BerthError('internal', `${shimPath} cannot be started`);
  return { client: ShimClient.started(dir, socket), ended: child.exit.catch(() => {}) };
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
