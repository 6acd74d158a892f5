// `berth volume create`: create a volume.

import { defineCommand } from '../command.ts';
import { keyValues } from '../workload/env.ts';

export const command = defineCommand({
  usage: '[OPTIONS] [NAME]',
  summary: 'Create a volume',
  flags: {
    driver: { kind: 'string', short: 'd', help: 'local' },
    opt: { kind: 'list', short: 'o', help: 'Set an option: size=1G for the most it may hold' },
    label: { kind: 'list', help: 'Set a label: KEY=VALUE' },
  },
  args: { min: 0, max: 1 },
  examples: [
    ['volume create data', 'a volume to mount with -v data:/path'],
    ['volume create -o size=1G --label app=web cache', 'one that holds no more than 1 GiB'],
  ],
  run: async (context, { flags, args }) => {
    const { volumes } = await context.client();
    const volume = await volumes.create({
      ...(args[0] === undefined ? {} : { name: args[0] }),
      ...(flags.driver === undefined ? {} : { driver: flags.driver }),
      labels: keyValues(flags.label, ''),
      options: keyValues(flags.opt, ''),
    });
    await context.out.line(volume.Name);
    return 0;
  },
});
