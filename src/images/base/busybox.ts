// The `busybox` base image: the machine's static busybox with a link per applet. The same binary gives the same image.

import { createReadStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import { posix } from 'node:path';
import { type BaseOptions, BerthError } from '../../core/index.ts';
import { type TarInput, writeTar } from '../../formats/tar.ts';
import { run } from '../../host/process.ts';
import type { BaseTar } from './base.ts';

const CANDIDATES = ['/bin/busybox', '/usr/bin/busybox'];

const FILES: Readonly<Record<string, string>> = {
  'etc/passwd':
    'root:x:0:0:root:/root:/bin/sh\n' +
    'daemon:x:1:1:daemon:/usr/sbin:/bin/false\n' +
    'bin:x:2:2:bin:/bin:/bin/false\n' +
    'www-data:x:33:33:www-data:/var/www:/bin/false\n' +
    'nobody:x:65534:65534:nobody:/home:/bin/false\n',
  'etc/group':
    'root:x:0:\ndaemon:x:1:\nbin:x:2:\nadm:x:4:\ntty:x:5:\nwww-data:x:33:\nusers:x:100:\nnogroup:x:65534:\n',
  'etc/shadow': 'root:*:::::::\nnobody:*:::::::\n',
  'etc/hosts': '127.0.0.1\tlocalhost\n::1\tlocalhost\n',
  'etc/hostname': '',
  'etc/resolv.conf': '',
  'etc/nsswitch.conf': 'passwd: files\ngroup: files\nshadow: files\nhosts: files dns\n',
  'etc/os-release': 'NAME="Berth busybox"\nID=busybox\nPRETTY_NAME="busybox, made by Berth"\n',
};
const PRIVATE_FILES = ['etc/shadow'];

const FOLDERS: Readonly<Record<string, number>> = {
  bin: 0o755,
  dev: 0o755,
  etc: 0o755,
  home: 0o755,
  proc: 0o555,
  root: 0o700,
  run: 0o755,
  sbin: 0o755,
  sys: 0o555,
  tmp: 0o1777,
  usr: 0o755,
  'usr/bin': 0o755,
  'usr/sbin': 0o755,
  var: 0o755,
  'var/log': 0o755,
  'var/spool': 0o755,
  'var/spool/mail': 0o755,
  'var/tmp': 0o1777,
  'var/www': 0o755,
};

export async function busyboxTar(options: BaseOptions): Promise<BaseTar> {
  if (options.packages.length > 0)
    throw new BerthError('invalid-argument', 'a busybox image has no packages: make a debian image for them');
  const path = await findBusybox();
  const { stdout } = await run(
    path,
    ['--list-full'],
    options.signal === undefined ? {} : { signal: options.signal },
  );
  const version = (await run(path, [])).stdout.split('\n')[0] ?? 'busybox';
  // The binary's own time, not the time of day: the same binary gives the same image.
  const seconds = Math.floor((await stat(path)).mtimeMs / 1000);
  const applets = stdout.split('\n').filter((line) => line !== '' && posix.basename(line) !== 'busybox');
  options.onProgress?.({ status: `${version}: ${applets.length} applets` });
  return {
    tar: writeTar(entries(path, (await stat(path)).size, applets, seconds)),
    created: new Date(seconds * 1000).toISOString(),
    createdBy: version,
    command: ['sh'],
  };
}

async function findBusybox(): Promise<string> {
  for (const path of CANDIDATES) {
    const found = await stat(path).catch(() => undefined);
    // Any shared library it needed would be missing in the image.
    if (found?.isFile() && (await isStatic(path))) return path;
  }
  throw new BerthError(
    'not-found',
    'this machine has no static busybox: install the package busybox-static (apt-get install busybox-static)',
  );
}

/** A static executable has no program header that names an interpreter (PT_INTERP = 3). */
async function isStatic(path: string): Promise<boolean> {
  const chunks: Buffer[] = [];
  for await (const chunk of createReadStream(path, { end: 4095 })) chunks.push(chunk as Buffer);
  const start = Buffer.concat(chunks);
  if (start.length < 64 || start.readUInt32BE(0) !== 0x7f454c46 || start[4] !== 2) return false;
  const table = Number(start.readBigUInt64LE(32));
  const size = start.readUInt16LE(54);
  for (let index = 0; index < start.readUInt16LE(56); index++) {
    const at = table + index * size;
    if (at + 4 <= start.length && start.readUInt32LE(at) === 3) return false;
  }
  return true;
}

function* entries(
  path: string,
  sizeBytes: number,
  applets: readonly string[],
  mtime: number,
): Generator<TarInput> {
  for (const [name, mode] of Object.entries(FOLDERS)) yield { name, type: 'folder', mode, mtime };
  for (const [name, content] of Object.entries(FILES))
    yield { name, type: 'file', content, mode: PRIVATE_FILES.includes(name) ? 0o600 : 0o644, mtime };
  yield { name: 'bin/busybox', type: 'file', mode: 0o755, mtime, content: createReadStream(path), sizeBytes };
  const known = new Set(Object.keys(FOLDERS));
  for (const name of [...new Set(applets)].sort()) {
    const folder = posix.dirname(name);
    // linuxrc and the like are for an initrd, not for an image.
    if (!known.has(folder)) continue;
    yield { name, type: 'symlink', mode: 0o777, mtime, linkName: posix.relative(folder, 'bin/busybox') };
  }
}
