// `berth checkpoint create`: keep the running state of a virtual machine.

import { defineCommand } from '../command.ts';

export const command = defineCommand({
  usage: '[OPTIONS] WORKLOAD',
  summary: 'Keep the running state of a virtual machine',
  details:
    'Memory, devices and disk as they are at one moment, flushed to the host’s disk. The workload goes on: it stands ' +
    'still for some ten milliseconds. Of a container, `berth commit` keeps the files and `berth pause` halts it; its ' +
    'running state is not captured.',
  flags: { name: { kind: 'string', help: 'Name of the checkpoint (default: WORKLOAD-1, WORKLOAD-2 …)' } },
  args: { min: 1, max: 1 },
  examples: [
    ['checkpoint create web', 'prints the name of the checkpoint'],
    ['checkpoint create --name ready web', 'name it'],
  ],
  run: async (context, { flags, args: [workload = ''] }) => {
    const { checkpoints } = await context.client();
    const options = flags.name === undefined ? {} : { name: flags.name };
    await context.out.line((await checkpoints.create(workload, options)).name);
    return 0;
  },
});
