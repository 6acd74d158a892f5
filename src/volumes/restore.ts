// A volume's content replaced by that of a tar. It is unpacked beside the old one first; then the entries of both are
// moved, within the same folder, so that workloads that have it mounted see the new content too. Names beside it:
//   .new   being unpacked, or whole and moved from
//   .old   where the old entries are being moved to; whoever finds it after a crash moves them back
//   .done  the same, when all of them are there: whoever finds it moves the rest of .new into place
//   .time  whose time the folder is to have, as .new loses its own when it is moved from
// The file `restoring` in the volume's folder tells that any of these may be there, without a look into image files.

import { rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { BerthError, isBerthError } from '../core/index.ts';
import { type DecompressLimits, decompress } from '../formats/compression.ts';
import { readIfExists } from '../host/index.ts';
import { besideContent, type ContentDoor, contentPath, type VolumePlace } from './content.ts';

export interface RestoreOptions {
  readonly door: ContentDoor;
  readonly unpackPath: string;
  readonly signal: AbortSignal | undefined;
}

const MARK = 'restoring';
/** An archive of one's own may be as large as the disk. */
const LIMITS: DecompressLimits = {
  maxBytes: Number.MAX_SAFE_INTEGER,
  maxRatio: 10_000,
  ratioFromBytes: 1 << 30,
};
/** unpack/unpack.h */
const EXIT_BAD_ARCHIVE = 1;
const EXIT_NO_SPACE = 4;

const MOVE = `
move() { find "$1" -mindepth 1 -maxdepth 1 -exec mv -t "$2" -- {} +; }
finish() {
  move .new "$data"
  chown --reference=.new "$data"
  chmod --reference=.new "$data"
  touch --reference=.time "$data"
  rm -rf .new .done .time
}
`;
const REPAIR = `
set -e
cd "$1"; data=$2
${MOVE}
if [ -d .done ]; then finish; fi
if [ -d .old ]; then move .old "$data"; fi
rm -rf .new .old .time
`;
const SWAP = `
set -e
cd "$1"; data=$2
${MOVE}
touch --reference=.new .time
mkdir .old
move "$data" .old
mv .old .done
finish
`;

/** Fails with `invalid-argument` for what is wrong with the archive, and `exhausted` when it does not fit. */
export async function replaceContent(
  place: VolumePlace & { readonly name: string },
  tar: AsyncIterable<Uint8Array>,
  options: RestoreOptions,
): Promise<void> {
  const { door, unpackPath, signal } = options;
  const mark = join(dirname(place.mountpoint), MARK);
  const beside = besideContent(place);
  await writeFile(mark, '');
  try {
    await unpack(place, tar, ['sh', '-c', UNPACK, 'unpack', beside, unpackPath], options);
    signal?.throwIfAborted();
    await door.run(place, ['sh', '-c', SWAP, 'swap', beside, contentPath(place)]);
    await rm(mark, { force: true });
  } catch (error) {
    await repair(place, door);
    throw isBerthError(error)
      ? new BerthError(error.code, `restore ${place.name}: ${error.message}`, { cause: error })
      : error;
  }
}

const UNPACK = `
set -e
cd "$1"
rm -rf .new
mkdir -m 755 .new
exec "$2" --plain --sync .new
`;

async function unpack(
  place: VolumePlace,
  tar: AsyncIterable<Uint8Array>,
  command: readonly string[],
  { door, signal }: RestoreOptions,
): Promise<void> {
  const child = door.stream(place, command, signal === undefined ? {} : { signal });
  let text = '';
  child.stderr.on('data', (chunk: Buffer) => {
    text = (text + chunk.toString()).slice(-2000);
  });
  child.stdout.resume();
  const source = Readable.from(whole(decompress(tar, LIMITS)), { objectMode: false });
  const fed = pipeline(source, child.stdin).then(
    () => undefined,
    (error: NodeJS.ErrnoException) => error,
  );
  const [feeding, { code }] = await Promise.all([fed, child.exit]);
  // A broken pipe only says that the program ended; anything else is why it had to.
  if (feeding !== undefined && feeding.code !== 'EPIPE' && feeding.code !== 'ERR_STREAM_PREMATURE_CLOSE')
    throw feeding;
  if (code === 0) return;
  const line = text.trim().replace(/^berth-unpack: /, '');
  if (code === EXIT_NO_SPACE)
    throw new BerthError(
      'exhausted',
      `${line}; old and new content must fit together until the old one goes: restore into a new volume, or make room`,
    );
  throw new BerthError(code === EXIT_BAD_ARCHIVE ? 'invalid-argument' : 'internal', line);
}

const END_BYTES = 1024;

/** Passes a tar on and fails with `invalid-argument` when its end mark is missing: a cut archive is no content. */
async function* whole(tar: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  let end = Buffer.alloc(0);
  for await (const chunk of tar) {
    yield chunk;
    const tail = Buffer.from(chunk.subarray(Math.max(0, chunk.length - END_BYTES)));
    end = Buffer.concat([end, tail]).subarray(-END_BYTES);
  }
  if (end.length < END_BYTES || end.some((byte) => byte !== 0))
    throw new BerthError('invalid-argument', 'the archive is cut short: its end mark is missing');
}

/** Undoes, or finishes, a restore that was interrupted. Nothing when there was none. */
export async function repair(place: VolumePlace, door: ContentDoor): Promise<void> {
  const mark = join(dirname(place.mountpoint), MARK);
  if ((await readIfExists(mark)) === undefined) return;
  await door.run(place, ['sh', '-c', REPAIR, 'repair', besideContent(place), contentPath(place)]);
  await rm(mark, { force: true });
}
