// `berth cp`: copy files between a workload and the host.

import { lstat, stat } from 'node:fs/promises';
import { posix } from 'node:path';
import type { BerthClient } from '../../sdk/client.ts';
import { BerthSdkError } from '../../sdk/errors.ts';
import type { PathStat } from '../../sdk/types.ts';
import { refuseTerminal } from '../archive.ts';
import { type Call, type Context, defineCommand } from '../command.ts';
import { argumentBytes, fromBytes, onDisk, toBytes, toText } from '../copy/names.ts';
import { packPath } from '../copy/pack.ts';
import { baseName, type Destination, landing, parsePlace, withoutDots } from '../copy/paths.ts';
import { makeNode, unpackTar } from '../copy/unpack.ts';
import { CliError } from '../errors.ts';
import { decimalSize } from '../format/units.ts';

const FLAGS = {
  archive: { kind: 'bool', short: 'a', help: 'Keep owners' },
  'follow-link': { kind: 'bool', short: 'L', help: 'Copy what a link points to' },
  quiet: { kind: 'bool', short: 'q', help: 'Do not say what was copied' },
} as const;

/** os.ModeDir and os.ModeSymlink of Go. */
const GO_FOLDER = 0x80000000;
const GO_LINK = 0x08000000;

interface InWorkload {
  readonly name: string;
  readonly path: string;
}

export const command = defineCommand({
  usage: '[OPTIONS] WORKLOAD:PATH PATH|-\n        berth cp [OPTIONS] PATH|- WORKLOAD:PATH',
  summary: 'Copy files between a workload and the host',
  details:
    'A folder is copied into an existing folder; with PATH/. only its contents are. "-" is a tar archive.',
  flags: FLAGS,
  args: { min: 2, max: 2 },
  examples: [
    ['cp web:/etc/nginx .', 'a folder to the host'],
    ['cp page.html web:/var/www/', 'a file into a folder'],
    ['cp web:/logs - | tar x', 'as a tar archive'],
  ],
  run: async (context, call) => {
    const [from = '', to = ''] = call.args;
    const source = parsePlace(from);
    const target = parsePlace(to);
    if (source.kind === 'workload' && target.kind === 'workload') {
      throw new CliError('copying between workloads is not supported: copy to the host first', 1);
    }
    const client = await context.client();
    if (source.kind === 'workload') {
      return await copyOut(context, client, source, target.kind === 'host' ? target.path : undefined, call);
    }
    if (target.kind === 'workload') {
      await copyIn(context, client, source.kind === 'host' ? source.path : undefined, target, call);
    } else throw new CliError('one of the paths must be in a workload: WORKLOAD:PATH', 1);
    return 0;
  },
});

async function copyOut(
  context: Context,
  client: BerthClient,
  from: InWorkload,
  to: string | undefined,
  { flags }: Call<typeof FLAGS>,
): Promise<number> {
  const { files } = client.containers;
  if (to === undefined) refuseTerminal(context);
  const path = withoutDots(flags['follow-link'] ? await followLink(client, from) : from.path, '/');
  const { stat: found, tar: answer } = await files.read(from.name, path);
  const tar = whole(answer, `${from.name}:${from.path}`);
  if (to === undefined) {
    for await (const chunk of tar) await context.out.write(chunk);
    return 0;
  }
  const isFolder = (found.mode & GO_FOLDER) !== 0;
  // The root has no name to land under: what is copied is what it holds.
  const source = { path: /^\/*$/.test(path) ? '/.' : toBytes(path), isFolder };
  const place = landing(source, await hostDestination(argumentBytes(to)));
  const { bytes, missing } = await unpackTar(tar, {
    ...place,
    keepOwners: flags.archive,
    makeNode: (at, item) => makeNode(at, item, (args) => context.mknod(args)),
  });
  for (const what of missing) await context.err.line(`berth: not copied: ${what}`);
  if (!flags.quiet) await context.err.line(`Successfully copied ${decimalSize(bytes)} to ${to}`);
  return missing.length === 0 ? 0 : 1;
}

/** The archive; one that is cut off says of what. */
async function* whole(tar: AsyncIterable<Buffer>, source: string): AsyncGenerator<Buffer> {
  try {
    yield* tar;
  } catch (cause) {
    if (!(cause instanceof BerthSdkError)) throw cause;
    const why = "not everything could be read; the daemon's log tells what";
    throw new CliError(`the copy of ${source} is incomplete: ${why}`, 1);
  }
}

async function copyIn(
  context: Context,
  client: BerthClient,
  from: string | undefined,
  to: InWorkload,
  { flags }: Call<typeof FLAGS>,
): Promise<void> {
  const { files } = client.containers;
  const target = await workloadDestination(client, to);
  // With `copyUidGid` everything would belong to the workload's user. The archive's owners are ours to choose.
  const options = { noOverwriteDirNonDir: true };
  if (from === undefined) {
    if (!target.isFolder) throw new CliError(`the destination ${to.name}:${to.path} must be a folder`, 1);
    await files.write(to.name, target.path, process.stdin as AsyncIterable<Uint8Array>, options);
    return;
  }
  const path = withoutDots(argumentBytes(from), process.cwd());
  const found = await (flags['follow-link'] ? stat : lstat)(onDisk(path)).catch(
    (cause: NodeJS.ErrnoException) => {
      const why = cause.code === 'ENOENT' ? 'there is no such file' : cause.message;
      throw new CliError(`cannot copy ${from}: ${why}`, 1);
    },
  );
  const place = landing({ path, isFolder: found.isDirectory() }, { ...target, path: toBytes(target.path) });
  let bytes = 0;
  const sockets: string[] = [];
  const tar = packPath(path, {
    name: place.name === '/' ? baseName(path) : place.name,
    followLink: flags['follow-link'],
    keepOwners: flags.archive,
    onFile: (size) => {
      bytes += size;
    },
    onSocket: (socket) => sockets.push(socket),
  });
  await files.write(to.name, fromBytes(place.folder), tar, options);
  for (const socket of sockets) await context.err.line(`berth: ${toText(socket)}: socket ignored`);
  if (!flags.quiet)
    await context.err.line(`Successfully copied ${decimalSize(bytes)} to ${to.name}:${to.path}`);
}

async function hostDestination(path: string): Promise<Destination> {
  const found = await stat(onDisk(path)).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return undefined;
    throw error;
  });
  return { path, exists: found !== undefined, isFolder: found?.isDirectory() === true };
}

/** The destination, with a link at its end followed, as far as it leads somewhere. */
async function workloadDestination(client: BerthClient, { name, path }: InWorkload): Promise<Destination> {
  const found = await statIfExists(client, { name, path });
  if (found === undefined) return { path, exists: false, isFolder: false };
  if ((found.mode & GO_LINK) === 0) return { path, exists: true, isFolder: (found.mode & GO_FOLDER) !== 0 };
  const target = posix.resolve(posix.dirname(posix.join('/', path)), found.linkTarget);
  const behind = await statIfExists(client, { name, path: target });
  return { path: target, exists: behind !== undefined, isFolder: ((behind?.mode ?? 0) & GO_FOLDER) !== 0 };
}

async function followLink(client: BerthClient, from: InWorkload): Promise<string> {
  const found = await client.containers.files.stat(from.name, from.path);
  if ((found.mode & GO_LINK) === 0) return from.path;
  return posix.resolve(posix.dirname(posix.join('/', from.path)), found.linkTarget);
}

async function statIfExists(client: BerthClient, { name, path }: InWorkload): Promise<PathStat | undefined> {
  try {
    return await client.containers.files.stat(name, path);
  } catch (error) {
    // A HEAD answer has no message, so an unknown workload looks the same; writing to it will say so.
    if (error instanceof BerthSdkError && error.status === 404) return undefined;
    throw error;
  }
}
