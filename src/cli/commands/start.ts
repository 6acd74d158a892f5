// `berth start`: start stopped workloads.

import type { BerthClient } from '../../sdk/client.ts';
import { type Context, defineCommand } from '../command.ts';
import { CliError } from '../errors.ts';
import { eachTarget } from '../targets.ts';
import { joinWorkload } from '../terminal/join.ts';

export const command = defineCommand({
  usage: '[OPTIONS] WORKLOAD [WORKLOAD...]',
  summary: 'Start stopped workloads',
  flags: {
    attach: { kind: 'bool', short: 'a', help: 'Connect to its output and pass signals on' },
    interactive: { kind: 'bool', short: 'i', help: 'Connect our stdin' },
    'detach-keys': { kind: 'string', help: 'Keys that detach (default ctrl-p,ctrl-q)' },
    'sig-proxy': { kind: 'bool', default: true, help: 'Pass signals on to the workload (default true)' },
  },
  args: { min: 1 },
  examples: [
    ['start web db', 'start two workloads'],
    ['start -ai shell', 'start one and take its terminal over'],
  ],
  run: async (context, { flags, args }) => {
    const client = await context.client();
    const [first = ''] = args;
    if (!flags.attach && !flags.interactive) return startAll(context, client, args);
    if (args.length > 1) throw new CliError('attaching is for one workload at a time', 1);
    return joinWorkload(context, client, first, {
      stdin: flags.interactive,
      detachKeys: flags['detach-keys'],
      signals: flags['sig-proxy'],
      start: true,
    });
  },
});

function startAll(context: Context, client: BerthClient, names: readonly string[]): Promise<number> {
  return eachTarget(context, names, async (name) => {
    await client.containers.start(name);
    return name;
  });
}
