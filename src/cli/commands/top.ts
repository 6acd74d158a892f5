// `berth top`: show the processes of a workload.

import { defineCommand } from '../command.ts';
import { alignColumns } from '../format/table.ts';

export const command = defineCommand({
  usage: 'WORKLOAD [PS_OPTION...]',
  summary: 'Show the processes of a workload',
  flags: {},
  args: { min: 1 },
  interspersed: false,
  examples: [
    ['top web', 'as ps -ef shows them'],
    ['top web -o pid,comm', 'chosen columns'],
  ],
  run: async (context, { args }) => {
    const [name = '', ...options] = args;
    const { containers } = await context.client();
    const { Titles, Processes } = await containers.top(
      name,
      options.length === 0 ? undefined : options.join(' '),
    );
    await context.out.write(alignColumns([Titles, ...Processes]));
    return 0;
  },
});
