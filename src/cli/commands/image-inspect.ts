// `berth image inspect`: show all details of images.

import { defineCommand } from '../command.ts';
import { INSPECT_FLAGS, inspectAll } from '../inspecting.ts';

export const command = defineCommand({
  usage: '[OPTIONS] IMAGE [IMAGE...]',
  summary: 'Show all details of images',
  flags: INSPECT_FLAGS,
  args: { min: 1 },
  examples: [["image inspect -f '{{.Architecture}}' debian", 'the platform it is for']],
  run: async (context, { flags, args }) => {
    const client = await context.client();
    return inspectAll(context, args, [(name) => client.images.inspect(name)], flags.format);
  },
});
