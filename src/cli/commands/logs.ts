// `berth logs`: show the output of a workload.

import { outputChunks } from '../../sdk/body.ts';
import { defineCommand } from '../command.ts';
import { parseMoment } from '../format/units.ts';

export const command = defineCommand({
  usage: '[OPTIONS] WORKLOAD',
  summary: 'Show the output of a workload',
  flags: {
    follow: { kind: 'bool', short: 'f', help: 'Go on as it is written' },
    since: { kind: 'string', help: 'Only since a time (2024-01-02T13:23:37Z) or duration (42m)' },
    tail: { kind: 'string', short: 'n', help: 'Only the last lines (default all)' },
    timestamps: { kind: 'bool', short: 't', help: 'Show when each line was written' },
    until: { kind: 'string', help: 'Only before a time or duration' },
    details: { kind: 'bool', help: 'Accepted for compatibility', hidden: true },
  },
  args: { min: 1, max: 1 },
  examples: [
    ['logs -f --tail 20 web', 'the last twenty lines, and what comes'],
    ['logs --since 10m -t web', 'the last ten minutes with times'],
  ],
  run: async (context, { flags, args }) => {
    const [name = ''] = args;
    const { containers } = await context.client();
    const { Config } = await containers.inspect(name);
    const body = await containers.logs(name, {
      stdout: true,
      stderr: true,
      follow: flags.follow,
      timestamps: flags.timestamps,
      tail: flags.tail ?? 'all',
      ...(flags.since === undefined ? {} : { since: parseMoment(flags.since, '--since') }),
      ...(flags.until === undefined ? {} : { until: parseMoment(flags.until, '--until') }),
    });
    for await (const { stream, data } of outputChunks(body, Config.Tty)) {
      await (stream === 'stdout' ? context.out : context.err).write(data);
    }
    return 0;
  },
});
