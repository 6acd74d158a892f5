// `berth config unset`: give settings their defaults again.

import { defineCommand } from '../command.ts';
import { eachTarget } from '../targets.ts';

export const command = defineCommand({
  usage: 'NAME [NAME...]',
  summary: 'Give settings of the daemon their defaults again',
  flags: {},
  args: { min: 1 },
  examples: [['config unset vm.pool.memory', 'back to the default']],
  run: async (context, { args }) => {
    const { config } = await context.client();
    return eachTarget(context, args, async (name) => {
      await config.unset(name);
      return name;
    });
  },
});
