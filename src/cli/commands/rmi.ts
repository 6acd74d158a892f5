// `berth rmi`: remove images.

import { defineCommand } from '../command.ts';
import { eachTarget } from '../targets.ts';

export const command = defineCommand({
  usage: '[OPTIONS] IMAGE [IMAGE...]',
  summary: 'Remove images',
  flags: {
    force: {
      kind: 'bool',
      short: 'f',
      help: 'Remove it though it has several names or stopped workloads use it',
    },
    'no-prune': { kind: 'bool', help: 'Keep parents without a name' },
  },
  args: { min: 1 },
  examples: [['rmi debian:latest', 'remove a name, and the image if it was the last']],
  run: async (context, { flags, args }) => {
    const { images } = await context.client();
    return eachTarget(context, args, async (name) => {
      const removed = await images.remove(name, { force: flags.force, noprune: flags['no-prune'] });
      return removed
        .map(({ Untagged, Deleted }) =>
          Untagged === undefined ? `Deleted: ${Deleted}` : `Untagged: ${Untagged}`,
        )
        .join('\n');
    });
  },
});
