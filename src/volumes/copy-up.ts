// What an image has at a volume's path is copied into the volume when it is mounted for the first time and empty.

import { lstat, mkdtemp, readdir, readlink, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { besideContent, type ContentDoor, contentPath, type VolumePlace } from './content.ts';

const MAX_LINKS = 40;
/** Beside the content: what is being copied. */
export const STAGE = '.fill';

/**
 * The merge of the layers is done by the kernel, in a mount namespace that dies with the script. Layers come highest
 * first, as links with short names: mount options have to fit in one page. A path that is not its own canonical form
 * is left alone: in the merged tree it leads through a link, which could lead anywhere. What is copied is moved into the
 * volume when all of it is there, so that a copy that is cut short fills nothing by half.
 */
const SCRIPT = `
set -e
scratch=$1 path=$2 beside=$3 target=$4
shift 4
mount -t tmpfs -o size=2m,mode=700 berth-copy "$scratch"
cd "$scratch"
mkdir empty merged
count=0 lower=
for layer; do
  ln -s "$layer" "$count"
  lower="$lower$count:" count=$((count + 1))
done
mount -t overlay -o "ro,lowerdir=\${lower}empty" berth-copy merged
cd /
from="$scratch/merged$path"
[ -d "$from" ] || exit 0
there=$(ls -A "$target")
[ -z "$there" ] || exit 0
[ "$(readlink -f "$from")" = "$(readlink -f "$scratch")/merged$path" ] || exit 0
stage="$beside/${STAGE}"
rm -rf "$stage"
mkdir "$stage"
cp -a --reflink=auto "$from/." "$stage/" || { rm -rf "$stage"; exit 1; }
find "$stage" -mindepth 1 -maxdepth 1 -exec mv -t "$target" -- {} +
chown --reference="$from" "$target"
chmod --reference="$from" "$target"
touch --reference="$from" "$target"
rmdir "$stage"
`;

/** True when nothing is in the folder. */
export async function isEmptyFolder(path: string): Promise<boolean> {
  return (await readdir(path)).length === 0;
}

/**
 * Copies the folder `path` of the image into a volume that is empty, with owners, modes, times and extended attributes;
 * the folder's own mode and owner too. Does nothing where the image has no folder there, and leaves the volume empty
 * when it fails. Layers come lowest first.
 */
export async function copyFromImage(
  layers: readonly string[],
  path: string,
  volume: VolumePlace,
  door: ContentDoor,
  signal?: AbortSignal,
): Promise<void> {
  const resolved = await resolveInLayers(layers, path);
  if (resolved === undefined || resolved === '/') return;
  const scratch = await mkdtemp(join(tmpdir(), 'berth-copy-'));
  try {
    const args = [scratch, resolved, besideContent(volume), contentPath(volume), ...[...layers].reverse()];
    const command = ['sh', '-c', SCRIPT, 'copy', ...args];
    await door.runApart(volume, command, signal === undefined ? {} : { signal });
  } finally {
    await rm(scratch, { recursive: true, force: true });
  }
}

/** Follows links inside the image's root. Undefined when some part of the path is in no layer. */
async function resolveInLayers(layers: readonly string[], path: string): Promise<string | undefined> {
  const pending = path.split('/').filter((part) => part !== '' && part !== '.');
  const done: string[] = [];
  for (let links = 0; pending.length > 0; ) {
    const part = pending.shift() ?? '';
    if (part === '..') {
      done.pop();
      continue;
    }
    const found = await findTop(layers, [...done, part].join('/'));
    if (found === undefined) return undefined;
    if (found.link === undefined) {
      done.push(part);
      continue;
    }
    if (++links > MAX_LINKS) return undefined;
    if (found.link.startsWith('/')) done.length = 0;
    pending.unshift(...found.link.split('/').filter((item) => item !== '' && item !== '.'));
  }
  return `/${done.join('/')}`;
}

/** The entry in the highest layer that has it; undefined when none has, or the highest hides it. */
async function findTop(
  layers: readonly string[],
  path: string,
): Promise<{ readonly link?: string } | undefined> {
  for (const layer of [...layers].reverse()) {
    const full = join(layer, path);
    const stats = await lstat(full).catch(() => undefined);
    if (stats === undefined) continue;
    if (stats.isCharacterDevice() && stats.rdev === 0) return undefined;
    return stats.isSymbolicLink() ? { link: await readlink(full) } : {};
  }
  return undefined;
}
