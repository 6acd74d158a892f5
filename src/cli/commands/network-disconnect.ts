// `berth network disconnect`: disconnect a workload from a network.

import { defineCommand } from '../command.ts';

export const command = defineCommand({
  usage: 'NETWORK WORKLOAD',
  summary: 'Disconnect a workload from a network, running or not',
  flags: { force: { kind: 'bool', short: 'f', help: "For Docker's clients; changes nothing", hidden: true } },
  args: { min: 2, max: 2 },
  examples: [['network disconnect backend web', 'its other networks stay']],
  run: async (context, { args }) => {
    const [network = '', workload = ''] = args;
    const { networks } = await context.client();
    await networks.disconnect(network, workload);
    return 0;
  },
});
