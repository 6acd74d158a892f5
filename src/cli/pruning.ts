// The `prune` commands: a warning, the question, what went, and how much that freed.

import type { Context } from './command.ts';
import { confirm } from './confirm.ts';
import { decimalSize } from './format/units.ts';

export const PRUNE_FLAGS = {
  filter: { kind: 'list', help: 'Only those that match: until=24h, label=…' },
  force: { kind: 'bool', short: 'f', help: 'Do not ask' },
} as const;

export interface Pruned {
  readonly title: string;
  readonly names: readonly string[];
}

/** Asks unless forced. Resolves to whether to go on. */
export async function mayPrune(context: Context, force: boolean, warning: string): Promise<boolean> {
  return force || (await confirm(context, warning));
}

export async function printPruned(
  context: Context,
  groups: readonly Pruned[],
  reclaimedBytes: number,
): Promise<void> {
  for (const { title, names } of groups) {
    if (names.length > 0) await context.out.line(`${title}:\n${names.join('\n')}\n`);
  }
  await context.out.line(`Total reclaimed space: ${decimalSize(reclaimedBytes)}`);
}

/** Docker's list of removed images as lines. */
export function imageLines(
  list: readonly { Untagged?: string; Deleted?: string }[] | null | undefined,
): string[] {
  return (list ?? []).map(({ Untagged, Deleted }) =>
    Untagged === undefined ? `deleted: ${Deleted}` : `untagged: ${Untagged}`,
  );
}
