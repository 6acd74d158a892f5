// What stands in the tables: read for counters, and by a daemon that takes over from another.

import type { Nft } from '../../host/index.ts';
import type { Admission } from './admissions.ts';
import { isNameSet } from './compile-policy.ts';
import { elementKey, type TableFamily } from './declaration.ts';

export interface Traffic {
  readonly packets: number;
  readonly bytes: number;
}

/** An element of a set that counts, expires or both. */
export interface Row {
  readonly family: TableFamily;
  readonly set: string;
  /** As in commands, without quotes. */
  readonly key: string;
  readonly counter?: Traffic;
  readonly expiresSeconds?: number;
}

/** All elements of the sets of both tables; none when there are no tables. */
export async function readRows(nft: Nft, table: string): Promise<Row[]> {
  const tables = await nft.list('tables');
  const families = (['inet', 'bridge'] as const).filter((family) =>
    tables.some((item) => {
      const { name, family: of } = (item['table'] ?? {}) as { name?: string; family?: string };
      return name === table && of === family;
    }),
  );
  const lists = await Promise.all(
    families.map(async (family) => parseRows(family, await nft.list('table', family, table))),
  );
  return lists.flat();
}

interface JsonElement {
  readonly val: string | { readonly concat: readonly string[] };
  readonly counter?: Traffic;
  readonly expires?: number;
}

function parseRows(family: TableFamily, items: readonly Record<string, unknown>[]): Row[] {
  return items.flatMap((item) => {
    const { name, elem = [] } = (item['set'] ?? {}) as { name?: string; elem?: readonly unknown[] };
    return elem.map((element) => {
      const { elem: inner } = element as { elem?: JsonElement };
      const { val, counter, expires } = inner ?? { val: element as JsonElement['val'] };
      return {
        family,
        set: name ?? '',
        key: typeof val === 'object' && 'concat' in val ? val.concat.join(' . ') : `${val}`,
        ...(counter === undefined ? {} : { counter }),
        ...(expires === undefined ? {} : { expiresSeconds: expires }),
      };
    });
  });
}

/** What a daemon takes over from the one before. */
export interface Legacy {
  readonly admissions: readonly Admission[];
  readonly watched: ReadonlySet<string>;
  /** Of elements that stay: where they begin to count. */
  readonly counted: ReadonlyMap<string, string>;
}

export function legacyOf(rows: readonly Row[]): Legacy {
  return {
    admissions: rows
      .filter(({ set, expiresSeconds }) => isNameSet(set) && expiresSeconds !== undefined)
      .map(({ set, key, expiresSeconds = 0 }) => ({
        set,
        address: key,
        expiresAtMs: Date.now() + expiresSeconds * 1000,
      })),
    watched: new Set(rows.filter(({ set }) => /^watched[46]$/.test(set)).map(({ key }) => key)),
    counted: new Map(
      rows.flatMap(({ family, set, key, counter }) =>
        counter === undefined
          ? []
          : [[elementKey(family, set, key), `counter packets ${counter.packets} bytes ${counter.bytes}`]],
      ),
    ),
  };
}
