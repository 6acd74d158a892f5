// Open files that this process did not open itself.

import { closeSync, readdirSync, readFileSync } from 'node:fs';

const CLOSE_ON_EXEC = 0o2000000;
const LAST_STANDARD = 2;

/**
 * Closes what whoever started this process had left open for it by accident: Node opens all of its own to be closed for
 * programs that it executes, so what is not marked so came from outside. To be called before anything is opened.
 */
export function closeInherited(kept: readonly number[]): void {
  for (const name of readdirSync('/proc/self/fd')) {
    const fd = Number(name);
    if (fd <= LAST_STANDARD || kept.includes(fd)) continue;
    try {
      const flags = /^flags:\s+(\d+)$/m.exec(readFileSync(`/proc/self/fdinfo/${name}`, 'utf8'))?.[1];
      if (flags !== undefined && (Number.parseInt(flags, 8) & CLOSE_ON_EXEC) === 0) closeSync(fd);
    } catch {
      // The folder that was just listed, which is closed again.
    }
  }
}
