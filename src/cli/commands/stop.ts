// `berth stop`: stop running workloads.

import { defineCommand } from '../command.ts';
import { eachTarget } from '../targets.ts';
import { STOP_FLAGS, stopRequest } from '../workload/stopping.ts';

export const command = defineCommand({
  usage: '[OPTIONS] WORKLOAD [WORKLOAD...]',
  summary: 'Stop running workloads',
  flags: STOP_FLAGS,
  args: { min: 1 },
  examples: [['stop -t 5 web', 'give it five seconds to end by itself']],
  run: async (context, { flags, args }) => {
    const { containers } = await context.client();
    return eachTarget(context, args, async (name) => {
      await containers.stop(name, stopRequest(flags));
      return name;
    });
  },
});
