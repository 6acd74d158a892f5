// Unpacks one layer by berth-unpack (unpack/), which confines itself to the target folder.

import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { BerthError, isBerthError } from '../core/index.ts';
import { type DecompressLimits, decompress } from '../formats/compression.ts';
import { spawnStream } from '../host/process.ts';
import { Digester } from './digest.ts';
import { cancelled } from './shared-task.ts';

export interface UnpackLimits extends DecompressLimits {
  readonly maxEntries: number;
}

export interface UnpackOptions {
  readonly unpackPath: string;
  readonly limits: UnpackLimits;
  readonly signal?: AbortSignal | undefined;
}

export interface Unpacked {
  readonly diffId: string;
  /** Content of the files. */
  readonly bytes: number;
  readonly entries: number;
}

// unpack/unpack.h
const EXIT_BAD_ARCHIVE = 1;
const EXIT_NO_SPACE = 4;

/**
 * Unpacks a layer, compressed or not, into the existing folder. Fails with `invalid-argument` for what the layer does
 * wrong, `exhausted` when the disk is full; the folder is left in any state then. `what` names the layer in messages.
 */
export async function unpackLayer(
  source: AsyncIterable<Uint8Array>,
  folder: string,
  what: string,
  options: UnpackOptions,
): Promise<Unpacked> {
  const { unpackPath, limits, signal } = options;
  if (signal?.aborted) throw cancelled();
  const child = spawnStream(
    unpackPath,
    [`--max-bytes=${limits.maxBytes}`, `--max-entries=${limits.maxEntries}`, '--sync', folder],
    signal === undefined ? {} : { signal },
  );
  const digester = new Digester();
  const [fed, stdout, stderr, exit] = await Promise.allSettled([
    pipeline(Readable.from(digester.pass(decompress(source, limits)), { objectMode: false }), child.stdin),
    text(child.stdout),
    text(child.stderr),
    child.exit,
  ]);
  if (signal?.aborted) throw cancelled();
  if (exit.status === 'rejected') throw exit.reason;
  // A broken pipe only says that the program ended; anything else is why it had to.
  if (fed.status === 'rejected' && !isBrokenPipe(fed.reason)) throw named(fed.reason, what);
  if (exit.value.code !== 0)
    throw failure(exit.value.code, stderr.status === 'fulfilled' ? stderr.value : '', what);
  const counts: unknown = JSON.parse(stdout.status === 'fulfilled' ? stdout.value : '');
  return { diffId: digester.digest(), ...parseCounts(counts) };
}

function parseCounts(counts: unknown): { bytes: number; entries: number } {
  const { bytes, entries } = counts as { bytes?: unknown; entries?: unknown };
  if (typeof bytes !== 'number' || typeof entries !== 'number')
    throw new BerthError('internal', 'berth-unpack: unexpected answer');
  return { bytes, entries };
}

function isBrokenPipe(error: unknown): boolean {
  const code = error instanceof Error && 'code' in error ? error.code : undefined;
  return code === 'EPIPE' || code === 'ECONNRESET' || code === 'ERR_STREAM_PREMATURE_CLOSE';
}

function named(error: unknown, what: string): unknown {
  if (!isBerthError(error)) return error;
  return new BerthError(error.code, `${what}: ${error.message}`, { cause: error });
}

function failure(code: number | null, stderr: string, what: string): BerthError {
  const line = stderr.trim().replace(/^berth-unpack: /, '') || `berth-unpack ended with ${code}`;
  if (code === EXIT_BAD_ARCHIVE) return new BerthError('invalid-argument', `${what}: ${line}`);
  if (code === EXIT_NO_SPACE)
    return new BerthError(
      'exhausted',
      `${what}: ${line}; free some space (berth system prune) and try again`,
    );
  return new BerthError('internal', `${what}: ${line}`);
}

async function text(stream: Readable): Promise<string> {
  let all = '';
  for await (const chunk of stream as AsyncIterable<Buffer>)
    if (all.length < 1 << 16) all += chunk.toString('utf8');
  return all;
}
