// `berth volume inspect`: show all details of volumes.

import { defineCommand } from '../command.ts';
import { INSPECT_FLAGS, inspectAll } from '../inspecting.ts';

export const command = defineCommand({
  usage: '[OPTIONS] VOLUME [VOLUME...]',
  summary: 'Show all details of volumes',
  flags: INSPECT_FLAGS,
  args: { min: 1 },
  examples: [["volume inspect -f '{{.Mountpoint}}' data", 'where it lies']],
  run: async (context, { flags, args }) => {
    const client = await context.client();
    return inspectAll(context, args, [(name) => client.volumes.inspect(name)], flags.format);
  },
});
