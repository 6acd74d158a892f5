// `berth checkpoint rm`: remove checkpoints.

import { defineCommand } from '../command.ts';
import { eachTarget } from '../targets.ts';

export const command = defineCommand({
  usage: 'CHECKPOINT [CHECKPOINT...]',
  summary: 'Remove checkpoints',
  flags: {},
  args: { min: 1 },
  examples: [['checkpoint rm web-1', 'workloads that were restored from it go on']],
  run: async (context, { args }) => {
    const { checkpoints } = await context.client();
    return eachTarget(context, args, async (name) => {
      await checkpoints.remove(name);
      return name;
    });
  },
});
