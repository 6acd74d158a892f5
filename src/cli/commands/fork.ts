// `berth fork`: copies of a running virtual machine.

import { defineCommand } from '../command.ts';
import { copyFlags, copyRequest, printCopies } from '../copies.ts';

export const command = defineCommand({
  usage: '[OPTIONS] WORKLOAD',
  summary: 'Make copies of a running virtual machine that go on where it is',
  details:
    'A copy has the memory, the processes and the disk of the workload at one moment, and a name, a host name, logs, ' +
    'a clock and randomness of its own. The workload itself goes on. Processes begun by exec end in the copy. ' +
    'Containers cannot be forked: they share the host’s kernel.',
  flags: copyFlags,
  args: { min: 1, max: 1 },
  examples: [
    ['fork web', 'one copy, named web-1'],
    ['fork -n 10 --name worker prepared', 'ten copies of a prepared machine: worker-1 to worker-10'],
  ],
  run: async (context, { flags, args: [workload = ''] }) => {
    const { checkpoints } = await context.client();
    return printCopies(context, await checkpoints.fork(workload, copyRequest(flags)), flags.format);
  },
});
