// `berth network inspect`: show all details of networks.

import { defineCommand } from '../command.ts';
import { INSPECT_FLAGS, inspectAll } from '../inspecting.ts';

export const command = defineCommand({
  usage: '[OPTIONS] NETWORK [NETWORK...]',
  summary: 'Show all details of networks',
  flags: INSPECT_FLAGS,
  args: { min: 1 },
  examples: [['network inspect none', 'the network without any way out']],
  run: async (context, { flags, args }) => {
    const client = await context.client();
    return inspectAll(context, args, [(name) => client.networks.inspect(name)], flags.format);
  },
});
