// `berth network connect`: connect a workload to a network.

import { defineCommand } from '../command.ts';
import { endpointRequest } from '../workload/networks.ts';

export const command = defineCommand({
  usage: '[OPTIONS] NETWORK WORKLOAD',
  summary: 'Connect a workload to a network, running or not',
  flags: {
    alias: { kind: 'list', help: 'Another name of the workload on this network' },
    ip: { kind: 'string', help: 'IPv4 address' },
    ip6: { kind: 'string', help: 'IPv6 address' },
    'mac-address': { kind: 'string', help: 'MAC address' },
  },
  args: { min: 2, max: 2 },
  examples: [['network connect --alias db backend postgres', 'as db, too']],
  run: async (context, { flags, args }) => {
    const [network = '', workload = ''] = args;
    const { networks } = await context.client();
    await networks.connect(
      network,
      workload,
      endpointRequest({ aliases: flags.alias, ip: flags.ip, ip6: flags.ip6, mac: flags['mac-address'] }),
    );
    return 0;
  },
});
