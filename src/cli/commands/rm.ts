// `berth rm`: remove workloads.

import { defineCommand } from '../command.ts';
import { eachTarget } from '../targets.ts';

export const command = defineCommand({
  usage: '[OPTIONS] WORKLOAD [WORKLOAD...]',
  summary: 'Remove workloads',
  flags: {
    force: { kind: 'bool', short: 'f', help: 'Kill it first if it runs' },
    volumes: { kind: 'bool', short: 'v', help: 'Remove its anonymous volumes too' },
  },
  args: { min: 1 },
  examples: [
    ['rm web', 'remove a stopped workload'],
    ['rm -f web db', 'remove two, running or not'],
  ],
  run: async (context, { flags, args }) => {
    const { containers } = await context.client();
    return eachTarget(context, args, async (name) => {
      await containers.remove(name, { force: flags.force, volumes: flags.volumes });
      return name;
    });
  },
});
