// `berth volume prune`: remove volumes that no workload uses.

import { defineCommand } from '../command.ts';
import { parseFilters } from '../filters.ts';
import { mayPrune, PRUNE_FLAGS, printPruned } from '../pruning.ts';

export const command = defineCommand({
  usage: '[OPTIONS]',
  summary: 'Remove volumes that no workload uses',
  flags: {
    ...PRUNE_FLAGS,
    filter: { kind: 'list', help: 'Only those that match: label=…, label!=…, all=true' },
    all: { kind: 'bool', short: 'a', help: 'Also those that have a name' },
  },
  args: { min: 0, max: 0 },
  examples: [
    ['volume prune -a', 'named volumes as well'],
    ['volume prune -a --filter label!=keep', 'all but those labelled keep'],
  ],
  run: async (context, { flags }) => {
    const what = flags.all ? 'all volumes' : 'anonymous volumes';
    if (!(await mayPrune(context, flags.force, `This will remove ${what} that no workload uses.`))) return 0;
    const { volumes } = await context.client();
    const filters = { ...parseFilters(flags.filter), ...(flags.all ? { all: ['true'] } : {}) };
    const answer = await volumes.prune(filters);
    const names = answer.VolumesDeleted ?? [];
    await printPruned(context, [{ title: 'Deleted volumes', names }], answer.SpaceReclaimed);
    return 0;
  },
});
