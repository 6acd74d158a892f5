// What the engine knows of a workload, on disk: one file in the workload's folder, whose name tells how far it is.
//   creating.json  being made; whoever finds it after a crash undoes it
//   record.json    made; rewritten by rename, so that it is whole at any instant
//   removing.json  being removed; whoever finds it after a crash finishes that
//   record.copy.json  as it was made, or got its last name or endpoints: what stands in for a record that is gone or damaged
// Nothing is flushed to the disk: the death of the daemon loses nothing, that of the host perhaps the last seconds.

import { existsSync, mkdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { readdir, rename } from 'node:fs/promises';
import { join } from 'node:path';
import type {
  Endpoint,
  ExitStatus,
  InstanceSpec,
  MountView,
  PublishedPort,
  ResourceSpec,
  WorkloadSpec,
} from '../core/index.ts';
import { BerthError, errorMessage } from '../core/index.ts';
import { readIfExists, writeAtomic } from '../host/index.ts';
import type { MergedConfig } from './resolve/index.ts';

export interface WorkloadRecord {
  readonly version: 1;
  readonly id: string;
  readonly name: string;
  readonly createdAt: string;
  readonly imageId: string;
  readonly spec: WorkloadSpec;
  readonly config: MergedConfig;
  readonly instance: InstanceSpec;
  readonly mounts: readonly MountView[];
  readonly anonymousVolumes: readonly string[];
  /** Its own as long as it exists. */
  readonly endpoints: readonly Endpoint[];
  /** Of the last run. */
  readonly published: readonly PublishedPort[];
  /** The user ended it: `unless-stopped` leaves it so at the next start of the daemon. Kept only with a restart policy. */
  readonly manuallyStopped: boolean;
  readonly restartCount: number;
  /** Why the last start failed, and what it left as exit status. */
  readonly error: string;
  readonly failure?: ExitStatus;
  /** Limits that it is being given: those in effect may be these already, in part or all. */
  readonly changing?: ResourceSpec;
  /** Why this is only a stand-in, of which nothing can be started. */
  readonly lost?: string;
}

export type Stage = 'creating' | 'record' | 'removing';
const STAGES: readonly Stage[] = ['removing', 'record', 'creating'];

const copyOf = (dir: string) => join(dir, 'record.copy.json');
const file = (dir: string, stage: Stage) => join(dir, `${stage}.json`);

/**
 * Makes the folder and its first record, or neither. Synchronous on purpose, as the two below: each is a few microseconds of page
 * cache on the way of every start, where a turn through the thread pool costs more than the work.
 */
export function beginRecord(record: WorkloadRecord): void {
  const { dir } = record.instance;
  try {
    mkdirSync(dir, { mode: 0o700 });
    writeFileSync(file(dir, 'creating'), JSON.stringify(record), { mode: 0o600 });
  } catch (error) {
    rmSync(dir, { recursive: true, force: true });
    throw recordError(record, error);
  }
}

export function commitRecord(record: WorkloadRecord): void {
  const { dir } = record.instance;
  renameSync(file(dir, 'creating'), file(dir, 'record'));
  try {
    writeFileSync(copyOf(dir), JSON.stringify(record), { mode: 0o600 });
  } catch {
    // The disk is full: the workload is made, and its record is whole.
  }
}

/** Keeps name and endpoints of a workload for a time when its record is lost. */
export async function keepCopy(record: WorkloadRecord): Promise<void> {
  await writeAtomic(copyOf(record.instance.dir), JSON.stringify(record));
}

/** From here on the workload is gone for every later daemon, even if its removal fails and is tried again. */
export function condemnRecord(dir: string): void {
  try {
    renameSync(file(dir, 'record'), file(dir, 'removing'));
  } catch (error) {
    if (!existsSync(file(dir, 'removing'))) throw error;
  }
}

export async function saveRecord(record: WorkloadRecord): Promise<void> {
  try {
    await writeAtomic(file(record.instance.dir, 'record'), JSON.stringify(record));
  } catch (error) {
    throw recordError(record, error);
  }
}

function recordError(record: WorkloadRecord, error: unknown): BerthError {
  const full = ['ENOSPC', 'EDQUOT'].includes((error as NodeJS.ErrnoException).code ?? '');
  return new BerthError(
    full ? 'exhausted' : 'internal',
    `cannot write the record of container ${record.name} in ${record.instance.dir}: ${errorMessage(error)}`,
    { cause: error },
  );
}

export type Found =
  | { readonly kind: Stage; readonly record: WorkloadRecord; readonly lost?: string }
  /** Nothing was started from it, and nothing of the user's is in it. */
  | { readonly kind: 'empty' }
  /** A record that cannot be read, kept under another name with all that is beside it. */
  | { readonly kind: 'damaged'; readonly reason: string };

/** Reads the record in a workload's folder. A lost one is written anew from its copy; `lost` says why. */
export async function readRecord(dir: string, id: string): Promise<Found> {
  const found = await readStages(dir, id);
  if (found.kind !== 'empty' && found.kind !== 'damaged') return found;
  const copy = await readIfExists(copyOf(dir));
  try {
    if (copy === undefined) return found;
    const record = { kind: 'record' as const, record: inFolder(parseRecord(copy, id), dir) };
    await saveRecord(record.record);
    return { ...record, lost: found.kind === 'damaged' ? found.reason : 'it is gone' };
  } catch {
    // The copy cannot be used either.
    return found;
  }
}

/** The root may have moved. */
function inFolder(record: WorkloadRecord, dir: string): WorkloadRecord {
  return { ...record, instance: { ...record.instance, dir } };
}

async function readStages(dir: string, id: string): Promise<Found> {
  for (const kind of STAGES) {
    const path = file(dir, kind);
    const text = await readIfExists(path);
    if (text === undefined) continue;
    try {
      return { kind, record: inFolder(parseRecord(text, id), dir) };
    } catch (error) {
      // A torn first record is one that its daemon died writing, before anything was made from it.
      if (kind === 'creating') return { kind: 'empty' };
      await rename(path, `${path}.damaged`);
      return { kind: 'damaged', reason: `kept as ${path}.damaged: ${errorMessage(error)}` };
    }
  }
  const damaged = (await readdir(dir)).find((name) => name.endsWith('.damaged'));
  if (damaged === undefined) return { kind: 'empty' };
  return { kind: 'damaged', reason: `kept as ${join(dir, damaged)} since an earlier start` };
}

function parseRecord(text: string, id: string): WorkloadRecord {
  return checkRecord(JSON.parse(text), id);
}

/** The parsed text of a record, in the shape of this version. Fails with a reason. */
export function checkRecord(value: unknown, id: string): WorkloadRecord {
  if (typeof value !== 'object' || value === null) throw new RangeError('not an object');
  const record = value as Partial<WorkloadRecord>;
  if (record.version !== 1) throw new RangeError(`version ${String(record.version)} is not known`);
  if (record.id !== id) throw new RangeError(`it belongs to ${String(record.id)}`);
  for (const key of ['name', 'createdAt', 'imageId'] as const)
    if (typeof record[key] !== 'string') throw new RangeError(`${key} is missing`);
  for (const key of ['spec', 'config', 'instance', 'mounts'] as const)
    if (typeof record[key] !== 'object' || record[key] === null) throw new RangeError(`${key} is missing`);
  return upToDate(record as WorkloadRecord);
}

/** What earlier versions did not know: they had no networks but the host's. */
function upToDate(record: WorkloadRecord): WorkloadRecord {
  const { spec, instance } = record;
  return {
    ...record,
    endpoints: record.endpoints ?? [],
    published: record.published ?? [],
    spec: {
      ...spec,
      networks: spec.networks ?? [],
      ports: spec.ports ?? [],
      publishAllPorts: spec.publishAllPorts ?? false,
    },
    instance: { ...instance, network: instance.network === 'host' ? 'host' : 'private' },
  };
}
