// `berth kill`: send a signal to running workloads.

import { defineCommand } from '../command.ts';
import { eachTarget } from '../targets.ts';

export const command = defineCommand({
  usage: '[OPTIONS] WORKLOAD [WORKLOAD...]',
  summary: 'Send a signal to running workloads',
  flags: { signal: { kind: 'string', short: 's', help: 'Signal to send (default KILL)' } },
  args: { min: 1 },
  examples: [['kill -s HUP web', 'have it read its configuration again']],
  run: async (context, { flags, args }) => {
    const { containers } = await context.client();
    return eachTarget(context, args, async (name) => {
      await containers.kill(name, flags.signal);
      return name;
    });
  },
});
