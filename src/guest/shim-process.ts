// The process of a shim, by the file in which it wrote what it is: alive or not, and killed when it answers nobody.

import { watch } from 'node:fs';
import { access } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { BerthError, type Isolation } from '../core/index.ts';
import { readIfExists } from '../host/files.ts';
import { settlesWithin } from '../host/patience.ts';

/** The kernel removes a killed process at once, but for one that waits for a device. */
const KILL_LIMIT_MS = 5_000;
const LOOK_MS = 5;

/** Process id of the shim of this folder; undefined when it does not live, or is not of the isolation, if one is named. */
export async function livingShim(dir: string, isolation?: Isolation): Promise<number | undefined> {
  const [pid, startTime] = ((await readIfExists(join(dir, 'shim.pid'))) ?? '').trim().split(' ');
  if (!pid || !startTime) return undefined;
  const stat = await readIfExists(`/proc/${pid}/stat`);
  const fields = stat?.slice(stat.lastIndexOf(')') + 2).split(' ') ?? [];
  // Field 22 of the line; the first two precede the cut. A zombie has nothing left to clean up.
  if (fields[19] !== startTime || fields[0] === 'Z') return undefined;
  const command = isolation && (await readIfExists(`/proc/${pid}/cmdline`))?.split('\0');
  return command && command[1] !== isolation ? undefined : Number(pid);
}

/** Whether a shim of this folder ended without cleaning up. */
export async function shimDied(dir: string): Promise<boolean> {
  const wasThere = (await readIfExists(join(dir, 'shim.pid'))) !== undefined;
  return wasThere && (await livingShim(dir)) === undefined;
}

/**
 * Whether the shim of this folder, if one lives, ended within the limit: one that answers no more may still be removing
 * what it made, and takes its pid file away when that is done.
 */
export async function shimEndedWithin(dir: string, limitMs: number): Promise<boolean> {
  if ((await livingShim(dir)) === undefined) return true;
  const path = join(dir, 'shim.pid');
  const removed = Promise.withResolvers<void>();
  const look = () => access(path).catch(() => removed.resolve());
  const watcher = watch(dir, look);
  void look();
  try {
    return await settlesWithin(removed.promise, limitMs);
  } finally {
    watcher.close();
  }
}

/** Kills the shim of this folder, if one lives, and resolves when it has gone. Fails with `timeout`. */
export async function killShim(dir: string): Promise<void> {
  for (let waitedMs = 0; ; waitedMs += LOOK_MS) {
    const pid = await livingShim(dir);
    if (pid === undefined) return;
    if (waitedMs > KILL_LIMIT_MS)
      throw new BerthError('timeout', `process ${pid}, the supervisor in ${dir}, cannot be killed`);
    try {
      process.kill(pid, 'SIGKILL');
    } catch {
      // The process has just gone.
    }
    await delay(LOOK_MS);
  }
}
