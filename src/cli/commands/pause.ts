// `berth pause`: suspend all processes of workloads.

import { defineCommand } from '../command.ts';
import { eachTarget } from '../targets.ts';

export const command = defineCommand({
  usage: 'WORKLOAD [WORKLOAD...]',
  summary: 'Suspend all processes of workloads',
  flags: {},
  args: { min: 1 },
  examples: [['pause web', 'freeze it where it is']],
  run: async (context, { args }) => {
    const { containers } = await context.client();
    return eachTarget(context, args, async (name) => {
      await containers.pause(name);
      return name;
    });
  },
});
