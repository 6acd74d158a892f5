// The lab's cache: products that are made once, outside of the clone, named by a digest of all that they are made of.

import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, readdir, rename, rm } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { promisify } from 'node:util';

export const REPOSITORY = join(import.meta.dirname, '../..');
export const CACHE = process.env['BERTH_LAB_CACHE'] ?? '/var/cache/berth-lab';

export const execute = promisify(execFile);

export function say(text: string): void {
  process.stderr.write(`lab: ${text}\n`);
}

/** The folder NAME-DIGEST, made by `make` when it is not there; what other digests made goes. */
export async function cached(
  name: string,
  made: unknown,
  make: (work: string) => Promise<void>,
): Promise<string> {
  const digest = createHash('sha256').update(JSON.stringify(made)).digest('hex').slice(0, 16);
  const folder = join(CACHE, `${name}-${digest}`);
  if (existsSync(folder)) return folder;
  const began = performance.now();
  say(`making ${name} in ${CACHE}`);
  await mkdir(CACHE, { recursive: true });
  const work = await mkdtemp(join(CACHE, '.making-'));
  try {
    await make(work);
    for (const other of await readdir(CACHE))
      if (other.startsWith(`${name}-`) && other !== basename(folder))
        await rm(join(CACHE, other), { recursive: true, force: true });
    await rename(work, folder).catch((error: unknown) => {
      // Another run may have finished meanwhile: its is the same.
      if (!existsSync(folder)) throw error;
    });
  } finally {
    await rm(work, { recursive: true, force: true });
  }
  say(`made ${name} in ${Math.round((performance.now() - began) / 1000)} s`);
  return folder;
}
