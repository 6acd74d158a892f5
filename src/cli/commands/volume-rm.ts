// `berth volume rm`: remove volumes.

import { defineCommand } from '../command.ts';
import { eachTarget } from '../targets.ts';

export const command = defineCommand({
  usage: '[OPTIONS] VOLUME [VOLUME...]',
  summary: 'Remove volumes',
  flags: { force: { kind: 'bool', short: 'f', help: 'It is no error if there is none' } },
  args: { min: 1 },
  examples: [['volume rm data', 'remove it and all that is in it']],
  run: async (context, { flags, args }) => {
    const { volumes } = await context.client();
    return eachTarget(context, args, async (name) => {
      await volumes.remove(name, { force: flags.force });
      return name;
    });
  },
});
