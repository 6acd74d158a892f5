// `berth attach`: connect the terminal to a running workload.

import { defineCommand } from '../command.ts';
import { CliError } from '../errors.ts';
import { joinWorkload } from '../terminal/join.ts';

export const command = defineCommand({
  usage: '[OPTIONS] WORKLOAD',
  summary: 'Connect the terminal to a running workload',
  flags: {
    'detach-keys': { kind: 'string', help: 'Keys that detach (default ctrl-p,ctrl-q)' },
    'no-stdin': { kind: 'bool', help: 'Do not connect stdin' },
    'sig-proxy': { kind: 'bool', default: true, help: 'Pass signals on to the workload (default true)' },
  },
  args: { min: 1, max: 1 },
  examples: [
    ['attach web', 'see its output from now on; ctrl-c ends the workload'],
    ['attach --no-stdin --sig-proxy=false web', 'only look'],
  ],
  run: async (context, { flags, args }) => {
    const [name = ''] = args;
    const client = await context.client();
    const { State } = await client.containers.inspect(name);
    if (!State.Running) throw new CliError(`cannot attach to ${name}: it is not running, start it first`, 1);
    if (State.Paused) throw new CliError(`cannot attach to ${name}: it is paused, unpause it first`, 1);
    return joinWorkload(context, client, name, {
      stdin: !flags['no-stdin'],
      detachKeys: flags['detach-keys'],
      signals: flags['sig-proxy'],
      start: false,
    });
  },
});
