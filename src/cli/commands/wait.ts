// `berth wait`: wait for workloads to end and print their exit codes.

import { defineCommand } from '../command.ts';
import { eachTarget } from '../targets.ts';

export const command = defineCommand({
  usage: 'WORKLOAD [WORKLOAD...]',
  summary: 'Wait for workloads to end and print their exit codes',
  flags: {},
  args: { min: 1 },
  examples: [['wait job', 'print the exit code of job once it has ended']],
  run: async (context, { args }) => {
    const { containers } = await context.client();
    return eachTarget(context, args, async (name) => {
      const { exit } = await containers.wait(name);
      return String((await exit).StatusCode);
    });
  },
});
