// Unpacks one layer by berth-unpack (unpack/), which confines itself to the target folder.

import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { BerthError, isBerthError } from '../core/index.ts';
import { type DecompressLimits, decompress } from '../formats/compression.ts';
import { run, spawnStream } from '../host/process.ts';
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
  /** Folders of which the layer says too little to stand alone, as berth-unpack tells them. */
  readonly folders: Buffer;
}

// unpack/unpack.h
const EXIT_BAD_ARCHIVE = 1;
const EXIT_NO_SPACE = 4;

const MAX_MESSAGE_BYTES = 1 << 16;
/** unpack/folders.c lets a layer tell less. */
const MAX_ANSWER_BYTES = 32 << 20;

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
    collect(child.stdout, MAX_ANSWER_BYTES),
    collect(child.stderr, MAX_MESSAGE_BYTES),
    child.exit,
  ]);
  if (signal?.aborted) throw cancelled();
  if (exit.status === 'rejected') throw exit.reason;
  // A broken pipe only says that the program ended; anything else is why it had to.
  if (fed.status === 'rejected' && !isBrokenPipe(fed.reason)) throw named(fed.reason, what);
  if (exit.value.code !== 0)
    throw failure(exit.value.code, stderr.status === 'fulfilled' ? stderr.value.toString() : '', what);
  return {
    diffId: digester.digest(),
    ...parseAnswer(stdout.status === 'fulfilled' ? stdout.value : Buffer.of()),
  };
}

/** Composes what belongs over layers (folder and told folders of each, uppermost first) into an empty folder; the entries in it. */
export async function composeCover(
  unpackPath: string,
  folder: string,
  layers: readonly { readonly path: string; readonly folders: Buffer }[],
): Promise<number> {
  const input = Buffer.concat(layers.flatMap(({ folders }) => [folders, Buffer.of(0)]));
  const { stdout } = await run(unpackPath, ['--compose', folder, ...layers.map(({ path }) => path)], {
    input,
  });
  return parseAnswer(Buffer.from(stdout)).entries;
}

function parseAnswer(answer: Buffer): { bytes: number; entries: number; folders: Buffer } {
  const end = answer.indexOf('\n');
  const counts: unknown = JSON.parse(answer.toString('utf8', 0, Math.max(end, 0)) || '{}');
  const { bytes, entries } = counts as { bytes?: unknown; entries?: unknown };
  if (typeof bytes !== 'number' || typeof entries !== 'number')
    throw new BerthError('internal', 'berth-unpack: unexpected answer');
  return { bytes, entries, folders: answer.subarray(end + 1) };
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

async function collect(stream: Readable, most: number): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of stream as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    if (bytes <= most) chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}
