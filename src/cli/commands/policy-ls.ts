// `berth policy ls`: who has a policy.

import { defineCommand } from '../command.ts';
import { printList } from '../format/list.ts';
import { formatPolicyTarget } from '../policy-target.ts';

export const command = defineCommand({
  usage: '[OPTIONS]',
  summary: 'List workloads and networks that have a policy',
  flags: { format: { kind: 'string', help: 'table, json, or a template' } },
  args: { min: 0, max: 0 },
  examples: [['policy ls', 'all policies']],
  run: async (context, { flags }) => {
    const views = await (await context.client()).policies.list();
    const rows = views.map((view) => ({ Target: formatPolicyTarget(view), Rules: view.rules.join('; ') }));
    await printList(context, rows, {
      headings: { Target: 'TARGET', Rules: 'RULES' },
      table: ['Target', 'Rules'],
      format: flags.format,
    });
    return 0;
  },
});
