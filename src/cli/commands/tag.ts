// `berth tag`: give an image another name.

import { defineCommand } from '../command.ts';

export const command = defineCommand({
  usage: 'SOURCE_IMAGE[:TAG] TARGET_IMAGE[:TAG]',
  summary: 'Give an image another name',
  flags: {},
  args: { min: 2, max: 2 },
  examples: [['tag debian localhost:5000/debian:12', 'a name for another registry']],
  run: async (context, { args }) => {
    const [source = '', target = ''] = args;
    await (await context.client()).images.tag(source, target);
    return 0;
  },
});
