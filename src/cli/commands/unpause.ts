// `berth unpause`: resume paused workloads.

import { defineCommand } from '../command.ts';
import { eachTarget } from '../targets.ts';

export const command = defineCommand({
  usage: 'WORKLOAD [WORKLOAD...]',
  summary: 'Resume paused workloads',
  flags: {},
  args: { min: 1 },
  examples: [['unpause web', 'let it go on']],
  run: async (context, { args }) => {
    const { containers } = await context.client();
    return eachTarget(context, args, async (name) => {
      await containers.unpause(name);
      return name;
    });
  },
});
