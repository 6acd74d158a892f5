// `berth system uninstall`: take away what Berth made of the host's network.

import { defineCommand } from '../command.ts';
import { confirm } from '../confirm.ts';

export const command = defineCommand({
  usage: '[OPTIONS]',
  summary: "Take away what Berth made of the host's network: bridges, rules",
  details:
    'Workloads must not run on networks. Images, volumes, workloads and the records of networks stay in the state folder; a ' +
    'workload that starts makes what it needs again.',
  flags: { force: { kind: 'bool', short: 'f', help: 'Do not ask' } },
  args: { min: 0, max: 0 },
  examples: [['system uninstall', 'before the packages are removed']],
  run: async (context, { flags }) => {
    if (
      !flags.force &&
      !(await confirm(context, 'This will remove all bridges and firewall rules of Berth.'))
    )
      return 0;
    await (await context.client()).system.uninstallNetworks();
    return 0;
  },
});
