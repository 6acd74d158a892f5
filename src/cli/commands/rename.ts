// `berth rename`: give a workload another name.

import { defineCommand } from '../command.ts';

export const command = defineCommand({
  usage: 'WORKLOAD NEW_NAME',
  summary: 'Give a workload another name',
  flags: {},
  args: { min: 2, max: 2 },
  examples: [['rename web web-old', 'make room for a new web']],
  run: async (context, { args }) => {
    const [from = '', to = ''] = args;
    await (await context.client()).containers.rename(from, to);
    return 0;
  },
});
