// The `debian` base image: mmdebstrap with the machine's own package sources, the smallest variant, plus packages.

import { readdir, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';
import { type BaseOptions, BerthError, type OnProgress } from '../../core/index.ts';
import { formatHeader } from '../../formats/tar-header.ts';
import { readIfExists } from '../../host/files.ts';
import { run, type StreamChild, spawnStream } from '../../host/process.ts';
import { cancelled } from '../shared-task.ts';
import type { BaseTar } from './base.ts';

const PACKAGE = /^[a-z0-9][a-z0-9+.-]+(:[a-z0-9]+)?(=[A-Za-z0-9.+:~-]+)?$/;
const SOURCES = '/etc/apt/sources.list';
/** Documentation that nobody reads in a container; licences stay. */
const LEFT_OUT = [
  'path-exclude=/usr/share/doc/*',
  'path-include=/usr/share/doc/*/copyright',
  'path-exclude=/usr/share/man/*',
  'path-exclude=/usr/share/info/*',
  'path-exclude=/usr/share/locale/*',
  'path-include=/usr/share/locale/locale.alias',
];
const DEV_FOLDER = {
  name: 'dev',
  type: 'folder',
  sizeBytes: 0,
  mode: 0o755,
  uid: 0,
  gid: 0,
  linkName: '',
} as const;
/** setsid(1)'s exit status when the program does not exist. */
const SETSID_NOT_FOUND = 127;
/** How the machine reaches its mirrors: proxies, certificates, mirrors frozen in time. */
const INHERITED = /^Acquire::(https?|Check-|Retries|Queue-Mode)/;

/** `folder` is an empty one to work in; what is left in it afterwards is rubbish. */
export async function debianTar(options: BaseOptions, folder: string): Promise<BaseTar> {
  for (const name of options.packages)
    if (!PACKAGE.test(name))
      throw new BerthError('invalid-argument', `${JSON.stringify(name)} is not the name of a Debian package`);
  const release = parseRelease((await readIfExists('/etc/os-release')) ?? '');
  const sources = await findSources();
  const mirrors = release.ID === 'debian' ? sources : [];
  const suite = release.ID === 'debian' ? release.VERSION_CODENAME : 'stable';
  const seconds = await newestSource(sources);
  const args = [
    '--variant=minbase',
    '--mode=root',
    '--format=tar',
    '--skip=output/dev',
    ...LEFT_OUT.map((option) => `--dpkgopt=${option}`),
    ...(await inheritedOptions()).map((option) => `--aptopt=${option}`),
    // The options above belong to this machine, not to the image.
    '--customize-hook=rm -f "$1/etc/apt/apt.conf.d/99mmdebstrap" "$1/etc/hostname" "$1/etc/resolv.conf"',
    '--customize-hook=: > "$1/etc/machine-id"',
    '--customize-hook=rm -rf "$1/var/log/"*.log "$1/var/log/apt" "$1/var/cache/ldconfig/aux-cache"',
    ...(options.packages.length === 0 ? [] : [`--include=${options.packages.join(',')}`]),
    suite ?? 'stable',
    '-',
    ...mirrors,
  ];
  return {
    tar: mmdebstrap(args, { folder, epochSeconds: seconds }, options),
    created: new Date(seconds * 1000).toISOString(),
    createdBy: `mmdebstrap ${suite ?? 'stable'} minbase ${options.packages.join(' ')}`.trim(),
    command: ['bash'],
  };
}

function parseRelease(text: string): Readonly<Partial<Record<'ID' | 'VERSION_CODENAME', string>>> {
  const lines = text.split('\n').map((line) => /^(\w+)="?([^"]*)"?$/.exec(line));
  return Object.fromEntries(lines.flatMap((match) => (match === null ? [] : [[match[1], match[2]]])));
}

async function findSources(): Promise<readonly string[]> {
  const folder = `${SOURCES}.d`;
  const names = (await readdir(folder).catch(() => [])).filter((name) => /\.(list|sources)$/.test(name));
  const candidates = [SOURCES, ...names.sort().map((name) => join(folder, name))];
  const found: string[] = [];
  for (const path of candidates) {
    const text = (await readIfExists(path)) ?? '';
    // Only the distribution's own: a third party's repository has no base system, and its key is not in the image.
    if (/^(deb |Types:.*\bdeb\b)/m.test(text) && /debian/i.test(text)) found.push(path);
  }
  return found;
}

/** A time for SOURCE_DATE_EPOCH that stays the same as long as the machine's package lists do. */
async function newestSource(sources: readonly string[]): Promise<number> {
  const lists = '/var/lib/apt/lists';
  const names = (await readdir(lists).catch(() => [])).filter((name) => /Release$/.test(name));
  const dates: number[] = [];
  for (const name of names) {
    const date = /^Date: (.*)$/m.exec(await readFile(join(lists, name), 'utf8'))?.[1];
    if (date !== undefined && !Number.isNaN(Date.parse(date))) dates.push(Date.parse(date));
  }
  if (dates.length === 0) for (const path of sources) dates.push((await stat(path)).mtimeMs);
  return Math.floor(Math.max(0, ...dates) / 1000);
}

async function inheritedOptions(): Promise<readonly string[]> {
  const { stdout } = await run('apt-config', ['dump', '--format', '%F "%v";%n']);
  return stdout.split('\n').filter((line) => INHERITED.test(line) && !line.endsWith(' "";'));
}

async function* mmdebstrap(
  args: readonly string[],
  { folder, epochSeconds }: { readonly folder: string; readonly epochSeconds: number },
  { signal, onProgress }: BaseOptions,
): AsyncGenerator<Buffer> {
  if (signal?.aborted) throw cancelled();
  // A session of its own: when it is stopped, it signals its whole process group, which must not be ours.
  const child = spawnStream('setsid', ['mmdebstrap', ...args], {
    env: {
      PATH: '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin',
      LC_ALL: 'C.UTF-8',
      TMPDIR: folder,
      SOURCE_DATE_EPOCH: String(epochSeconds),
      DEBIAN_FRONTEND: 'noninteractive',
    },
  });
  child.stdin.end();
  const stop = () => stopSession(child);
  signal?.addEventListener('abort', stop, { once: true });
  const said = followProgress(child.stderr, onProgress);
  try {
    // Device nodes are left out, and mmdebstrap leaves their folder out with them.
    yield formatHeader({ ...DEV_FOLDER, mtime: epochSeconds });
    for await (const chunk of child.stdout as AsyncIterable<Buffer>) yield chunk;
    await checkExit(child, said, signal);
  } finally {
    signal?.removeEventListener('abort', stop);
    stop();
    child.stdout.resume();
    await child.exit.catch(() => {});
  }
}

/** Asks the program and all that it started to end: not killed outright, it has file systems to unmount. */
function stopSession({ pid }: StreamChild): void {
  try {
    if (pid > 0) process.kill(-pid, 'SIGTERM');
  } catch {
    // It has ended.
  }
}

async function checkExit(
  child: StreamChild,
  said: Promise<readonly string[]>,
  signal: AbortSignal | undefined,
): Promise<void> {
  const exit = await child.exit;
  if (signal?.aborted) throw cancelled();
  if (exit.code === 0) return;
  if (exit.code === SETSID_NOT_FOUND)
    throw new BerthError('not-found', 'mmdebstrap is not installed: apt-get install mmdebstrap');
  const lines = await said;
  const reasons = lines.filter((line) => /^E: /.test(line));
  const reason = (reasons.length > 0 ? reasons : lines).slice(-3).join('; ');
  throw new BerthError(
    'internal',
    `mmdebstrap cannot make the image: ${reason || `exit status ${exit.code}`}`,
  );
}

/** Passes on what mmdebstrap says it does; resolves to the last lines. */
async function followProgress(
  stderr: Readable,
  onProgress: OnProgress | undefined,
): Promise<readonly string[]> {
  const last: string[] = [];
  for await (const line of createInterface({ input: stderr })) {
    const text = line.trim();
    if (text === '') continue;
    last.push(text);
    if (last.length > 40) last.shift();
    if (/^I: (?!running --|skipping )/.test(text)) onProgress?.({ status: text.slice(3) });
  }
  return last;
}
