// A running machine captured: asked of its shim, described so that another daemon can tell whether it still fits, and
// opened again by a keeper (a shim without a machine) that checks all of it and holds it in memory that nothing can change.

import { readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import {
  BerthError,
  errorMessage,
  type InstanceSpec,
  type Origin,
  type SavedState,
} from '../../core/index.ts';
import { decodeFields } from '../../formats/frames.ts';
import { type Fields, field, type ShimClient } from '../../guest/index.ts';
import { readIfExists, readSeal, run, writeAtomic } from '../../host/index.ts';
import type { HostVerdict } from '../../qemu/index.ts';
import { allocatedBytes } from '../../volumes/index.ts';
import { canFork, type MachineShape, type TemplateFiles } from './config.ts';
import { makeKept, startKept } from './kept-folder.ts';

/** Of what is in the memory of a captured guest: the agent, and with it the words it understands. */
const GENERATION = 3;
const DESCRIPTION = 'checkpoint.json';

interface Description {
  readonly generation: number;
  readonly shape: MachineShape;
  /** As it calls itself: another one may not understand the devices' state. */
  readonly qemu: string;
  /** The seal of the image's disk: what a guest has read of it is in its memory, and another one would not fit. */
  readonly image: string;
}

export interface CaptureSource {
  readonly spec: InstanceSpec;
  readonly client: ShimClient;
  /** The program. */
  readonly qemu: string;
}

/** What machines are restored from: files that a shim keeps open, and the disk that belongs to them. */
export class VmOrigin implements Origin {
  readonly files: TemplateFiles;
  readonly shape: MachineShape;
  readonly disk: string;
  readonly pauseMs?: number;
  /** The seal of the image's disk; a saved checkpoint has it. */
  readonly imageSeal?: string;
  readonly #release: () => Promise<void>;

  constructor(
    files: TemplateFiles,
    shape: MachineShape,
    disk: string,
    release: () => Promise<void>,
    { pauseMs, imageSeal }: { readonly pauseMs?: number; readonly imageSeal?: string },
  ) {
    this.files = files;
    this.shape = shape;
    this.disk = disk;
    this.#release = release;
    if (pauseMs !== undefined) this.pauseMs = pauseMs;
    if (imageSeal !== undefined) this.imageSeal = imageSeal;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#release();
  }
}

/** Memory of many gigabytes goes to a slow disk. */
const CAPTURE_LIMIT_MS = 15 * 60_000;

/** Fails when the machine cannot be captured at all, and says why. */
function checkSource({ spec }: CaptureSource): void {
  if (canFork(spec)) return;
  const shared = spec.mounts.find((mount) => mount.type === 'bind');
  throw new BerthError(
    'unsupported',
    `VM ${spec.id} shares ${shared?.target ?? 'a folder'} with the host, and the state of a shared folder cannot be captured: leave volumes and binds out, or use a tmpfs`,
  );
}

/** As it was started, which `update` may have changed in the spec since. */
async function shapeIn(dir: string): Promise<MachineShape> {
  const text = field(decodeFields(await readFile(join(dir, 'vm.machine'))), 'shape');
  if (text === undefined)
    throw new BerthError(
      'unsupported',
      'the machine was started by an earlier version: restart it to capture it',
    );
  return JSON.parse(text) as MachineShape;
}

async function request(source: CaptureSource, fields: { readonly dir: string; readonly durable?: boolean }) {
  checkSource(source);
  const shape = await shapeIn(source.spec.dir);
  const connection = await source.client.connect();
  try {
    const said = await connection.request('checkpoint', fields, { limitMs: CAPTURE_LIMIT_MS });
    return { shape, connection, said };
  } catch (error) {
    connection.close();
    throw error;
  }
}

/** The seal of the image's disk with which the machine in this folder was started; empty when there is none. */
async function imageSeal(dir: string): Promise<string> {
  const path = field(decodeFields(await readFile(join(dir, 'vm.machine'))), 'image') ?? '';
  return (await readSeal(path)) ?? '';
}

async function qemuVersion(program: string): Promise<string> {
  return (await run(program, ['--version'])).stdout.split('\n')[0] ?? '';
}

const pauseOf = (said: Fields) => Number(field(said, 'pause_us') ?? 0) / 1000;

/** Captures it into the folder, durably. */
export async function saveCheckpoint(source: CaptureSource, dir: string): Promise<SavedState> {
  const { shape, connection, said } = await request(source, { dir, durable: true });
  connection.close();
  const [qemu, image] = await Promise.all([qemuVersion(source.qemu), imageSeal(source.spec.dir)]);
  const description: Description = { generation: GENERATION, shape, qemu, image };
  await writeAtomic(join(dir, DESCRIPTION), JSON.stringify(description), { durable: true });
  return { pauseMs: pauseOf(said), sizeBytes: await allocatedBytes(dir) };
}

/** Captures it for copies that are made at once; the shim keeps what was captured as long as the connection lives. */
export async function captureOrigin(source: CaptureSource, dir: string): Promise<VmOrigin> {
  const { shape, connection, said } = await request(source, { dir });
  const disk = join(dir, 'disk.ext4');
  const release = async () => {
    connection.close();
    await rm(disk, { force: true });
  };
  return new VmOrigin(filesIn(source.spec.dir, shape, said), shape, disk, release, {
    pauseMs: pauseOf(said),
  });
}

function filesIn(dir: string, { memoryBytes }: MachineShape, said: Fields): TemplateFiles {
  return {
    ...{ memory: join(dir, 'memory'), memoryBytes, state: join(dir, 'state') },
    ...{ stateBytes: Number(field(said, 'state_bytes') ?? 0), stateSum: field(said, 'state_sum') ?? '' },
  };
}

export interface KeeperOptions {
  readonly shimPath: string;
  /** Where keepers have their folders. */
  readonly folder: string;
  readonly qemu: string;
  readonly host: HostVerdict;
}

/** Opens a saved checkpoint: all of it is read and compared with its checksums. */
export async function openCheckpoint(saved: string, options: KeeperOptions): Promise<VmOrigin> {
  const { shape, image } = await readDescription(saved, options);
  const parts = decodeFields(Buffer.from(await readPart(saved, 'parts')));
  const kept = await makeKept(options.folder);
  const { dir } = kept;
  try {
    const { client } = await startKept(options.shimPath, kept, keeperFields(saved, shape, parts), [
      '--no-log',
    ]);
    const said = await client.prepare('hold');
    const release = async () => {
      await client.quit();
      await rm(dir, { recursive: true, force: true });
    };
    const disk = join(saved, 'disk.ext4');
    return new VmOrigin(filesIn(dir, shape, said), shape, disk, release, { imageSeal: image });
  } catch (error) {
    await rm(dir, { recursive: true, force: true });
    throw error;
  }
}

function keeperFields(saved: string, shape: MachineShape, parts: Fields) {
  const part = (name: string, file: string) => ({
    [`saved_${name}`]: join(saved, file),
    [`saved_${name}_bytes`]: field(parts, `${name}_bytes`),
    [`saved_${name}_sum`]: field(parts, `${name}_sum`),
  });
  return {
    ...{ template: true, memory_bytes: shape.memoryBytes },
    ...part('memory', 'memory'),
    ...part('state', 'state'),
    ...part('disk', 'disk.ext4'),
  };
}

const refuse = (why: string) => new BerthError('unavailable', `the checkpoint cannot be restored: ${why}`);

async function readPart(saved: string, name: string): Promise<string> {
  const text = await readIfExists(join(saved, name));
  if (text === undefined) throw refuse(`${name} is missing`);
  return text;
}

async function readDescription(saved: string, { qemu, host }: KeeperOptions): Promise<Description> {
  const text = await readPart(saved, DESCRIPTION);
  let description: Description;
  try {
    description = JSON.parse(text) as Description;
  } catch (error) {
    throw refuse(`${DESCRIPTION} is damaged: ${errorMessage(error)}`);
  }
  if (description.generation !== GENERATION) throw refuse('it was made by another version of Berth');
  const version = await qemuVersion(qemu);
  if (description.qemu !== version)
    throw refuse(`it was made with ${description.qemu}, and here is ${version}`);
  const { accelerator, tscKhz } = description.shape;
  if (accelerator !== host.accelerator)
    throw refuse(`it was made with ${accelerator}, and this host runs machines with ${host.accelerator}`);
  if (differs(tscKhz, host.tscKhz))
    throw refuse("its clock goes by another host's processor, at another rate");
  return description;
}

/** By more than two measurements of one clock do. */
const differs = (a: number | undefined, b: number | undefined) =>
  a !== undefined && b !== undefined && Math.abs(a - b) > 0.005 * b;

/** Fails when the image's disk is another one than that which the guest had. */
export async function checkImage({ imageSeal }: VmOrigin, path: string): Promise<void> {
  if (imageSeal !== undefined && imageSeal !== (await readSeal(path)))
    throw refuse("the disk of its image has been made anew since, and is not what is in the guest's memory");
}

/** The disk of an instance that goes on from this: a copy of its own, which shares what it can on the host's disk. */
export async function copyDisk(origin: VmOrigin, path: string): Promise<void> {
  try {
    await run('cp', ['--sparse=always', '--reflink=auto', origin.disk, path]);
  } catch (error) {
    await rm(path, { force: true });
    throw error;
  }
}
