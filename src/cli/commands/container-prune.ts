// `berth container prune`: remove all stopped workloads.

import { defineCommand } from '../command.ts';
import { parseFilters } from '../filters.ts';
import { mayPrune, PRUNE_FLAGS, printPruned } from '../pruning.ts';

export const command = defineCommand({
  usage: '[OPTIONS]',
  summary: 'Remove all stopped workloads',
  flags: PRUNE_FLAGS,
  args: { min: 0, max: 0 },
  examples: [['container prune -f --filter until=24h', 'those older than a day, without asking']],
  run: async (context, { flags }) => {
    if (!(await mayPrune(context, flags.force, 'This will remove all stopped workloads.'))) return 0;
    const { containers } = await context.client();
    const answer = await containers.prune(parseFilters(flags.filter));
    const names = answer.ContainersDeleted ?? [];
    await printPruned(context, [{ title: 'Deleted workloads', names }], answer.SpaceReclaimed);
    return 0;
  },
});
