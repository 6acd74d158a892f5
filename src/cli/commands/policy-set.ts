// `berth policy set`: say whom a workload may reach, and who may reach it.

import { defineCommand } from '../command.ts';
import { policyTarget } from '../policy-target.ts';

export const command = defineCommand({
  usage: 'WORKLOAD|network:NETWORK RULE [RULE...]',
  summary: 'Set the policy of a workload, or of all on a network',
  details:
    'A rule is allow or deny, to (whom it reaches) or from (who reaches it), and whom: any, public, private, metadata, ' +
    'host, network, an address or subnet, a DNS name, @WORKLOAD or label:KEY=VALUE, with ports and a protocol behind it if ' +
    'wanted; log at its end logs each connection. The first rule that matches decides: those of the workload first, then ' +
    'those of its network. It is in force at once; open connections that it forbids are cut.',
  flags: {},
  args: { min: 2 },
  examples: [
    ['policy set job "allow to pypi.org:443" "deny to any"', 'nothing but one site'],
    ['policy set db "allow from @web:5432" "deny from any"', 'one client only'],
    ['policy set network:ci "deny to metadata" "deny to private"', 'all workloads of a network'],
  ],
  run: async (context, { args: [target = '', ...rules] }) => {
    await (await context.client()).policies.set(policyTarget(target), rules);
    return 0;
  },
});
