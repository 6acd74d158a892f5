// `berth restart`: restart workloads.

import { defineCommand } from '../command.ts';
import { eachTarget } from '../targets.ts';
import { STOP_FLAGS, stopRequest } from '../workload/stopping.ts';

export const command = defineCommand({
  usage: '[OPTIONS] WORKLOAD [WORKLOAD...]',
  summary: 'Restart workloads',
  flags: STOP_FLAGS,
  args: { min: 1 },
  examples: [['restart -t 5 web', 'give it five seconds to end before it is killed, then start it']],
  run: async (context, { flags, args }) => {
    const { containers } = await context.client();
    return eachTarget(context, args, async (name) => {
      await containers.restart(name, stopRequest(flags));
      return name;
    });
  },
});
