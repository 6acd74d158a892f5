// `berth policy unset`: remove a policy.

import { defineCommand } from '../command.ts';
import { policyTarget } from '../policy-target.ts';

export const command = defineCommand({
  usage: 'WORKLOAD|network:NETWORK',
  summary: 'Remove the policy of a workload or a network',
  flags: {},
  args: { min: 1, max: 1 },
  examples: [['policy unset job', 'the default again, or what its network says']],
  run: async (context, { args: [target = ''] }) => {
    await (await context.client()).policies.unset(policyTarget(target));
    return 0;
  },
});
