// `berth network rm`: remove networks.

import { defineCommand } from '../command.ts';
import { eachTarget } from '../targets.ts';

export const command = defineCommand({
  usage: 'NETWORK [NETWORK...]',
  summary: 'Remove networks',
  flags: {},
  args: { min: 1 },
  examples: [['network rm web', 'that no workload is connected to any more']],
  run: async (context, { args }) => {
    const { networks } = await context.client();
    return eachTarget(context, args, async (name) => {
      await networks.remove(name);
      return name;
    });
  },
});
