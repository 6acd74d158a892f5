// `berth checkpoint restore`: workloads that go on where a checkpoint was taken.

import { defineCommand } from '../command.ts';
import { copyFlags, copyRequest, printCopies } from '../copies.ts';

export const command = defineCommand({
  usage: '[OPTIONS] CHECKPOINT',
  summary: 'Make workloads that go on where a checkpoint was taken',
  details:
    'Each is a workload of its own; the one that was captured need not exist any more. All of the checkpoint is compared ' +
    'with its checksums first.',
  flags: copyFlags,
  args: { min: 1, max: 1 },
  examples: [
    ['checkpoint restore web-1', 'go on where it was'],
    ['checkpoint restore -n 3 --name test ready', 'three of them: test-1 to test-3'],
  ],
  run: async (context, { flags, args: [checkpoint = ''] }) => {
    const { checkpoints } = await context.client();
    return printCopies(context, await checkpoints.restore(checkpoint, copyRequest(flags)), flags.format);
  },
});
