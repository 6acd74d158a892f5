// `berth config set`: change a setting of the daemon.

import { defineCommand } from '../command.ts';

export const command = defineCommand({
  usage: 'NAME VALUE',
  summary: 'Change a setting of the daemon',
  details: 'A change is in effect at once, and outlives the daemon.',
  flags: {},
  args: { min: 2, max: 2 },
  examples: [
    ['config set vm.pool.memory 1g', 'let more machines wait'],
    ['config set vm.pool.machines 0', 'let none wait'],
  ],
  run: async (context, { args: [name = '', value = ''] }) => {
    await (await context.client()).config.set(name, value);
    return 0;
  },
});
