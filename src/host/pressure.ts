// Pressure stall information (Linux, Documentation/accounting/psi.rst): of the host, and of control groups.

import { readFileSync } from 'node:fs';
import { PRESSURES, type Pressure, type Pressures, type Stall } from '../core/index.ts';

/** A text that the kernel makes up, which takes no waiting; undefined when there is none. */
export function readNow(path: string): string | undefined {
  try {
    return readFileSync(path, 'latin1');
  } catch {
    return undefined;
  }
}

/** Lines of `some avg10=0.00 avg60=0.00 avg300=0.00 total=0`; undefined for any other text. */
export function parsePressure(text: string): Pressure | undefined {
  const some = parseStall(text, 'some');
  const full = parseStall(text, 'full');
  if (some === undefined) return undefined;
  return { some, ...(full === undefined ? {} : { full }) };
}

function parseStall(text: string, kind: string): Stall | undefined {
  const line = new RegExp(`^${kind} avg10=(\\S+) avg60=(\\S+) avg300=(\\S+) total=(\\d+)`, 'm').exec(text);
  if (line === null) return undefined;
  const [, avg10, avg60, avg300, total] = line.map(Number);
  return { avg10: avg10 ?? 0, avg60: avg60 ?? 0, avg300: avg300 ?? 0, totalUs: total ?? 0 };
}

/** By the texts of its parts; undefined when there are none. */
export function toPressures(
  read: (name: (typeof PRESSURES)[number]) => string | undefined,
): Pressures | undefined {
  const found = PRESSURES.flatMap((name) => {
    const pressure = parsePressure(read(name) ?? '');
    return pressure === undefined ? [] : [[name, pressure] as const];
  });
  return found.length === 0 ? undefined : Object.fromEntries(found);
}

/** Of a folder with cpu, memory and io, each with this ending; undefined where the kernel does not measure it (psi=0). */
export function readPressures(folder: string, ending = ''): Pressures | undefined {
  return toPressures((name) => readNow(`${folder}/${name}${ending}`));
}

/** Of the whole host. */
export function readHostPressures(): Pressures | undefined {
  return readPressures('/proc/pressure');
}
