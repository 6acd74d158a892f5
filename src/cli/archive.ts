// Archives from and to files, or standard input and output.

import { createReadStream, createWriteStream } from 'node:fs';
import { rm, stat } from 'node:fs/promises';
import { pipeline } from 'node:stream/promises';
import type { Context } from './command.ts';
import { CliError } from './errors.ts';

export const OUTPUT_FLAG = {
  output: { kind: 'string', short: 'o', value: 'file', help: 'Write to this file instead of stdout' },
} as const;

/** Writes an archive to a file, which is removed when it stays incomplete, or to stdout unless that is a terminal. */
export async function writeArchive(
  context: Context,
  path: string | undefined,
  archive: AsyncIterable<Buffer>,
): Promise<void> {
  if (path === undefined || path === '-') {
    refuseTerminal(context);
    for await (const chunk of archive) await context.out.write(chunk);
    return;
  }
  try {
    await pipeline(archive, createWriteStream(path, { mode: 0o644 }));
  } catch (error) {
    const isFile = (await stat(path).catch(() => undefined))?.isFile();
    if (isFile) await rm(path, { force: true });
    throw error;
  }
}

/** Archives are no text: they must not end up on a screen. Call it before the daemon is asked for one. */
export function refuseTerminal(context: Context): void {
  if (context.out.isTerminal) {
    throw new CliError('refusing to write an archive to the terminal: use -o FILE or redirect stdout', 1);
  }
}

/** The bytes of a file, or of stdin for `-` and nothing. */
export async function openArchive(path: string | undefined): Promise<AsyncIterable<Uint8Array>> {
  if (path === undefined || path === '-') {
    if (process.stdin.isTTY) throw new CliError('no archive given: use -i FILE or redirect stdin', 1);
    return process.stdin as AsyncIterable<Uint8Array>;
  }
  const found = await stat(path).catch((cause: NodeJS.ErrnoException) => {
    throw new CliError(
      `cannot read ${path}: ${cause.code === 'ENOENT' ? 'there is no such file' : cause.message}`,
      1,
    );
  });
  if (found.isDirectory()) throw new CliError(`cannot read ${path}: it is a folder`, 1);
  return createReadStream(path, { highWaterMark: 256 * 1024 });
}
