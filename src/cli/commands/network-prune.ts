// `berth network prune`: remove networks that no workload is connected to.

import { defineCommand } from '../command.ts';
import { parseFilters } from '../filters.ts';
import { mayPrune, PRUNE_FLAGS } from '../pruning.ts';

export const command = defineCommand({
  usage: '[OPTIONS]',
  summary: 'Remove networks that no workload is connected to',
  flags: PRUNE_FLAGS,
  args: { min: 0, max: 0 },
  examples: [['network prune --filter label=test', 'only those with the label']],
  run: async (context, { flags }) => {
    const what = 'This will remove all networks that no workload is connected to.';
    if (!(await mayPrune(context, flags.force, what))) return 0;
    const { networks } = await context.client();
    const names = await networks.prune(parseFilters(flags.filter));
    if (names.length > 0) await context.out.write(`Deleted networks:\n${names.join('\n')}\n\n`);
    return 0;
  },
});
