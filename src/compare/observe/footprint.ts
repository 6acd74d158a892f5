// What an idle instance holds on the host: memory, processor time, disk.

import { readFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { BerthError, errorMessage, type Image, type ImageStore } from '../../core/index.ts';
import type { Engine } from '../../engine/api.ts';
import { readCgroupStats } from '../../host/cgroup-stats.ts';
import type { Book } from '../book.ts';
import type { Lab } from '../lab.ts';
import { allocatedBytes, commandLine, type HeldFile, heldFiles, openFiles } from './disk.ts';
import {
  belonging,
  cpuNs,
  hostProcesses,
  type InstanceProcesses,
  memoryGroup,
  pssBytes,
} from './processes.ts';

const IDLE_MS = 3000;

/** The processes of a running instance. */
export async function processesOf(
  engine: Engine,
  lab: Lab,
): Promise<InstanceProcesses & { readonly main: number }> {
  const { pid } = engine.workloads.get(lab.id);
  if (pid === 0) throw new BerthError('invalid-state', `the ${lab.isolation} of the comparison does not run`);
  return { ...belonging(await hostProcesses(), pid), main: pid };
}

async function attempt(book: Book, row: string, lab: Lab, measure: () => Promise<number>): Promise<void> {
  try {
    book.sample(row, lab.isolation, await measure());
  } catch (error) {
    book.unknown(row, lab.isolation, errorMessage(error));
  }
}

/** Resolves to the memory of the instance with its shim, for the later comparison with two of them. */
export async function recordMemory(book: Book, engine: Engine, lab: Lab): Promise<void> {
  const processes = await processesOf(engine, lab);
  const { shim, own } = processes;
  await attempt(book, 'memory.instance', lab, () => pssBytes(own));
  if (shim === undefined) book.unknown('memory.shim', lab.isolation, 'no supervisor was found');
  else await attempt(book, 'memory.shim', lab, () => pssBytes([shim]));
  const group = memoryGroup(await readFile(`/proc/${processes.main}/cgroup`, 'utf8'));
  if (group === undefined)
    book.unknown('memory.group', lab.isolation, 'it is in no control group of its own');
  else await attempt(book, 'memory.group', lab, async () => (await readCgroupStats(group)).memory.usageBytes);
}

/** Memory that the second of two like instances adds: shared pages count once over both. */
export async function recordNext(book: Book, engine: Engine, first: Lab, second: Lab): Promise<void> {
  const [a, b] = [await processesOf(engine, first), await processesOf(engine, second)];
  const all = [a.shim, b.shim, ...a.own, ...b.own].filter((pid) => pid !== undefined);
  const alone = [
    ...book.samples('memory.instance', first.isolation),
    ...book.samples('memory.shim', first.isolation),
  ];
  if (alone.length !== 2)
    book.unknown('memory.next', first.isolation, 'the first instance could not be measured');
  else
    await attempt(book, 'memory.next', first, async () =>
      Math.max(0, (await pssBytes(all)) - alone.reduce((sum, bytes) => sum + bytes, 0)),
    );
}

/** Run time of each instance over the same few seconds. */
export async function recordIdle(book: Book, engine: Engine, labs: readonly Lab[]): Promise<void> {
  const watched = await Promise.all(
    labs.map(async (lab) => {
      const { shim, own } = await processesOf(engine, lab);
      const pids = shim === undefined ? own : [shim, ...own];
      return { lab, pids, startNs: await cpuNs(pids), at: performance.now() };
    }),
  );
  await sleep(IDLE_MS);
  for (const { lab, pids, startNs, at } of watched) {
    const usedMs = ((await cpuNs(pids)) - startNs) / 1e6;
    book.sample('cpu.idle', lab.isolation, (usedMs / (performance.now() - at)) * 100);
  }
}

export interface MachineFiles {
  readonly kernel: HeldFile | undefined;
  readonly initrd: HeldFile | undefined;
  /** Read-only, outside the instance's folder: made from the image. */
  readonly image: HeldFile | undefined;
  /** In the instance's folder. */
  readonly writable: HeldFile | undefined;
}

/** The files that a VM's monitor was started with or holds open, told apart by its own command line and by place. */
export async function machineFiles(monitor: number, folder: string): Promise<MachineFiles> {
  const words = await commandLine(monitor);
  const named = async (flag: string) => {
    const word = words[words.indexOf(flag) + 1] ?? '';
    // Descriptors are named as the monitor sees them.
    const path = word.replace(/^\/proc\/self\//, `/proc/${monitor}/`);
    const [file] = words.includes(flag) ? await heldFiles([path]) : [];
    return file;
  };
  const open = await openFiles(monitor);
  const kernel = await named('-kernel');
  const initrd = await named('-initrd');
  const inside = (file: HeldFile) => file.path.startsWith(`${folder}/`);
  const others = open.filter((file) => file.key !== kernel?.key && file.key !== initrd?.key);
  return {
    kernel,
    initrd,
    image: largest(others.filter((file) => !inside(file))),
    writable: largest(others.filter(inside)),
  };
}

function largest(files: readonly HeldFile[]): HeldFile | undefined {
  return files.toSorted((a, b) => b.sizeBytes - a.sizeBytes)[0];
}

/** Disk of the instance and what was made from the image for it; the size rows of a VM. */
export async function recordDisk(
  book: Book,
  engine: Engine,
  lab: Lab,
  store: { readonly images: ImageStore; readonly image: Image },
): Promise<void> {
  const { isolation } = lab;
  const folder = dirname(engine.workloads.get(lab.id).logPath);
  book.sample('disk.instance', isolation, await allocatedBytes(folder));
  if (isolation === 'container') {
    const layers = await store.images.layers(store.image);
    const sizes = await Promise.all(layers.map((layer) => allocatedBytes(layer)));
    book.sample(
      'disk.image',
      isolation,
      sizes.reduce((sum, size) => sum + size, 0),
    );
    book.sample('size.writable', isolation, await engine.workloads.writableBytes(lab.id));
    return;
  }
  const { main } = await processesOf(engine, lab);
  recordMachineFiles(book, await machineFiles(main, folder));
}

function recordMachineFiles(book: Book, files: MachineFiles): void {
  const record = (row: string, file: HeldFile | undefined, key: 'sizeBytes' | 'allocatedBytes') => {
    if (file === undefined) book.unknown(row, 'vm', 'the monitor was not seen with such a file');
    else book.sample(row, 'vm', file[key]);
  };
  record('size.kernel', files.kernel, 'sizeBytes');
  record('size.initrd', files.initrd, 'sizeBytes');
  record('size.disk', files.image, 'allocatedBytes');
  record('disk.image', files.image, 'allocatedBytes');
  record('size.writable', files.writable, 'allocatedBytes');
}
