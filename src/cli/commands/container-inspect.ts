// `berth container inspect`: show all details of workloads.

import { defineCommand } from '../command.ts';
import { INSPECT_FLAGS, inspectAll } from '../inspecting.ts';

export const command = defineCommand({
  usage: '[OPTIONS] WORKLOAD [WORKLOAD...]',
  summary: 'Show all details of workloads',
  flags: INSPECT_FLAGS,
  args: { min: 1 },
  examples: [["container inspect -f '{{.State.Status}}' web", 'its state']],
  run: async (context, { flags, args }) => {
    const client = await context.client();
    return inspectAll(context, args, [(name) => client.containers.inspect(name)], flags.format);
  },
});
