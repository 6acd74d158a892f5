// The guest's initial file system: the agent as /init and the few kernel modules it loads, in loading order. Built once
// per kernel and agent.

import { createHash } from 'node:crypto';
import { mkdir, readdir, readFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { BerthError } from '../core/index.ts';
import { type CpioEntry, encodeCpio } from '../formats/cpio.ts';
import { moduleDependencies } from '../formats/elf.ts';
import { isSealed, runBytes, writeSealed } from '../host/index.ts';
import { type GuestKernel, removeOthers } from './kernel.ts';

/**
 * What the agent loads, in stages: the port to the host first, so that the host can talk while disks come up; network
 * interfaces when the first is plugged in or in a template, shared folders only when there are any. A module that the kernel has built in is passed over.
 */
const STAGES: Readonly<Record<string, readonly string[]>> = {
  link: ['virtio_pci', 'virtio_console'],
  storage: ['virtio_blk', 'erofs', 'overlay'],
  network: ['virtio_net'],
  binds: ['virtiofs'],
};

const SIGNATURE_MARK = '~Module signature appended~\n';
const SIGNATURE_TRAILER_BYTES = 12;

/** The path of the initrd for this kernel and agent, built if it is not in `cacheDir` yet. */
export async function prepareInitrd(
  kernel: GuestKernel,
  agentPath: string,
  cacheDir: string,
): Promise<string> {
  const agent = await readFile(agentPath).catch((cause: unknown) => {
    throw new BerthError('unavailable', `the guest agent ${agentPath} is missing: run npm run build`, {
      cause,
    });
  });
  const digest = createHash('sha256').update(JSON.stringify(STAGES)).update(agent).digest('hex').slice(0, 16);
  const path = join(cacheDir, `initrd-${kernel.version}-${digest}`);
  if (await isSealed(path)) return path;
  const entries = await listEntries(kernel, agent);
  await mkdir(cacheDir, { recursive: true, mode: 0o700 });
  await writeSealed(path, encodeCpio(entries), { mode: 0o644 });
  await removeOthers(cacheDir, 'initrd-', path);
  return path;
}

async function listEntries(kernel: GuestKernel, agent: Buffer): Promise<CpioEntry[]> {
  const modules = await findModules(join(kernel.folder, 'modules', 'kernel'));
  const loaded = new Set<string>();
  const entries: CpioEntry[] = [
    { path: 'dev', mode: 0o40755 },
    { path: 'dev/console', mode: 0o20600, device: { major: 5, minor: 1 } },
    { path: 'modules', mode: 0o40755 },
    { path: 'init', mode: 0o100755, data: agent },
  ];
  for (const [stage, names] of Object.entries(STAGES)) {
    const order: string[] = [];
    for (const name of names) await addModule(name, modules, loaded, order, entries);
    const list = order.map((name) => `/modules/${name}.ko\n`).join('');
    entries.push({ path: `modules/${stage}`, mode: 0o100644, data: Buffer.from(list) });
  }
  return entries;
}

/** Adds a module behind those it depends on. */
async function addModule(
  name: string,
  modules: ReadonlyMap<string, string>,
  loaded: Set<string>,
  order: string[],
  entries: CpioEntry[],
): Promise<void> {
  const path = modules.get(name);
  if (path === undefined || loaded.has(name)) return;
  loaded.add(name);
  const data = withoutSignature(await readModule(path));
  for (const needed of moduleDependencies(data))
    await addModule(needed.replaceAll('-', '_'), modules, loaded, order, entries);
  entries.push({ path: `modules/${name}.ko`, mode: 0o100644, data });
  order.push(name);
}

/** All modules of a kernel by name; dashes and underscores are the same to the kernel. */
async function findModules(folder: string): Promise<Map<string, string>> {
  const found = new Map<string, string>();
  for (const entry of await readdir(folder, { recursive: true, withFileTypes: true })) {
    const match = /^(.+)\.ko(\.xz|\.zst|\.gz)?$/.exec(entry.name);
    if (match?.[1] !== undefined)
      found.set(match[1].replaceAll('-', '_'), join(entry.parentPath, entry.name));
  }
  return found;
}

const UNPACKERS: Readonly<Record<string, string>> = { xz: 'xz', zst: 'zstd', gz: 'gzip' };

async function readModule(path: string): Promise<Buffer> {
  const packer = UNPACKERS[basename(path).split('.').at(-1) ?? ''];
  if (packer === undefined) return readFile(path);
  return runBytes(packer, ['-dc', '--', path]);
}

/** The guest trusts what the host gave it: checking each signature would only cost its start. */
function withoutSignature(module: Buffer): Buffer {
  const mark = module.length - SIGNATURE_MARK.length;
  if (mark < SIGNATURE_TRAILER_BYTES || module.toString('latin1', mark) !== SIGNATURE_MARK) return module;
  const trailer = mark - SIGNATURE_TRAILER_BYTES;
  return module.subarray(0, trailer - module.readUInt32BE(trailer + 8));
}
