// Folders of machines that this process keeps for later starts. They are named after it: what another one left is waste,
// as its shims ended with it.

import { readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';

const OWNER = `${process.pid}-${Math.round(performance.timeOrigin)}`;

/** Where the machine with this id is kept; not made yet. */
export function keptFolder(parent: string, id: string): string {
  return join(parent, `${OWNER}.${id.slice(0, 12)}`);
}

/** Removes what other processes left. */
export async function sweepKept(parent: string): Promise<void> {
  const names = await readdir(parent).catch(() => []);
  const others = names.filter((name) => !name.startsWith(`${OWNER}.`));
  await Promise.all(others.map((name) => rm(join(parent, name), { recursive: true, force: true })));
}
