// A volume as a tar.

import { PassThrough, type Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { BerthError } from '../core/index.ts';
import { type ContentDoor, contentPath, type VolumePlace } from './content.ts';

/** Owners by number, attributes, access lists, holes; what others mounted inside is left out. */
const ARGUMENTS = [
  ...['--create', '--file=-', '--format=posix', '--sparse', '--numeric-owner', '--acls'],
  ...['--xattrs', '--xattrs-include=*', '--one-file-system', '--warning=no-file-changed'],
];
/** Of GNU tar: some files changed while they were read, which is how a volume in use is. */
const CHANGED = 1;
const MAX_TEXT = 2000;

/** Fails in the middle when something cannot be read; destroying the stream ends the reading. */
export function readArchive(place: VolumePlace, door: ContentDoor): Readable {
  const child = door.stream(place, ['tar', ...ARGUMENTS, '-C', contentPath(place), '.']);
  const output = new PassThrough();
  let text = '';
  child.stdin.on('error', () => {});
  child.stdin.end();
  child.stderr.on('data', (chunk: Buffer) => {
    if (text.length < MAX_TEXT) text += chunk.toString();
  });
  output.once('close', () => child.kill('SIGKILL'));
  const copied = pipeline(child.stdout, output, { end: false });
  Promise.all([child.exit, copied]).then(
    ([{ code }]) => {
      if (code === 0 || code === CHANGED) output.end();
      else output.destroy(new BerthError('internal', `backup: tar ended with ${code}: ${text.trim()}`));
    },
    (error: Error) => output.destroy(error),
  );
  return output;
}
