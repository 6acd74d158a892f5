// `berth image prune`: remove images that no workload uses.

import { defineCommand } from '../command.ts';
import { parseFilters } from '../filters.ts';
import { imageLines, mayPrune, PRUNE_FLAGS, printPruned } from '../pruning.ts';

export const command = defineCommand({
  usage: '[OPTIONS]',
  summary: 'Remove images that no workload uses',
  flags: { ...PRUNE_FLAGS, all: { kind: 'bool', short: 'a', help: 'Also those that have a name' } },
  args: { min: 0, max: 0 },
  examples: [['image prune -a', 'all images that no workload uses']],
  run: async (context, { flags }) => {
    const what = flags.all ? 'all images that no workload uses' : 'all images without a name';
    if (!(await mayPrune(context, flags.force, `This will remove ${what}.`))) return 0;
    const { images } = await context.client();
    const answer = await images.prune({ ...parseFilters(flags.filter), dangling: [String(!flags.all)] });
    const names = imageLines(answer.ImagesDeleted);
    await printPruned(context, [{ title: 'Deleted images', names }], answer.SpaceReclaimed);
    return 0;
  },
});
