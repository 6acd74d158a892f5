// `berth policy show`: the policy of a workload or a network, and what it counted.

import { defineCommand } from '../command.ts';
import { alignColumns } from '../format/table.ts';
import { policyTarget } from '../policy-target.ts';

export const command = defineCommand({
  usage: '[OPTIONS] WORKLOAD|network:NETWORK',
  summary: 'Show the policy of a workload or a network, and what was counted',
  flags: { format: { kind: 'string', help: 'json' } },
  args: { min: 1, max: 1 },
  examples: [['policy show job', 'its rules, and what was sent, received and denied']],
  run: async (context, { flags, args: [target = ''] }) => {
    const view = await (await context.client()).policies.get(policyTarget(target));
    if (flags.format === 'json') {
      await context.out.line(JSON.stringify(view));
      return 0;
    }
    const rules = view.rules.length === 0 ? ['no rules: the default is in force'] : view.rules;
    for (const rule of rules) await context.out.line(rule);
    const counters = Object.entries(view.counters ?? {});
    if (counters.length === 0) return 0;
    const rows = counters.map(([name, count]) => [
      name,
      ...(['received', 'sent', 'deniedIn', 'deniedOut', 'spoofed'] as const).map(
        (key) => `${count[key].packets}`,
      ),
    ]);
    const heading = ['INTERFACE', 'RECEIVED', 'SENT', 'DENIED IN', 'DENIED OUT', 'SPOOFED'];
    await context.out.write(`\nPackets\n${alignColumns([heading, ...rows])}`);
    return 0;
  },
});
