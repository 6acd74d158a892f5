// `berth serve`: run the daemon in the foreground.

import { defineCommand } from '../command.ts';

export const command = defineCommand({
  usage: '',
  summary: 'Run the daemon in the foreground',
  details:
    'It listens on BERTH_HOST (default unix:///run/berth/berth.sock) and keeps its state under BERTH_ROOT (default\n' +
    '/var/lib/berth). Workloads live on when it ends; the next daemon takes them over.',
  flags: {},
  args: { min: 0 },
  interspersed: false,
  examples: [['serve', 'run until ctrl-c; other commands start a daemon by themselves when none runs']],
  run: (context, { args }) => context.serve(args),
});
