// `berth create`: create a workload without starting it.

import { defineCommand } from '../command.ts';
import { WORKLOAD_FLAGS } from '../workload/flags.ts';
import { createWorkload } from '../workload/launch.ts';
import { createRequest } from '../workload/request.ts';

export const command = defineCommand({
  usage: '[OPTIONS] IMAGE [COMMAND] [ARG...]',
  summary: 'Create a workload without starting it',
  flags: WORKLOAD_FLAGS,
  args: { min: 1 },
  interspersed: false,
  errorCode: 125,
  examples: [['create --name job busybox date', 'prepare a workload that "berth start -a job" runs']],
  run: async (context, { flags, args }) => {
    const [image = '', ...command] = args;
    const request = createRequest({ flags, image, command, detach: false, env: context.env });
    const id = await createWorkload(context, await context.client(), request, flags);
    await context.out.line(id);
    return 0;
  },
});
