// `berth volume backup`: write a volume as a tar archive.

import { OUTPUT_FLAG, refuseTerminal, writeArchive } from '../archive.ts';
import { defineCommand } from '../command.ts';
import { showTransfer } from '../transfer.ts';

export const command = defineCommand({
  usage: '[OPTIONS] VOLUME',
  summary: 'Write a volume as a tar archive',
  details:
    'With owners, modes, times, attributes, access lists and holes. A volume in use is read as it is: stop or pause its workloads if their files belong together.',
  flags: OUTPUT_FLAG,
  args: { min: 1, max: 1 },
  examples: [
    ['volume backup -o data.tar data', 'to a file'],
    ['volume backup data | zstd > data.tar.zst', 'compressed; restore takes that too'],
  ],
  run: async (context, { flags, args }) => {
    const [name = ''] = args;
    if (flags.output === undefined || flags.output === '-') refuseTerminal(context);
    const { volumes } = await context.client();
    const archive = await volumes.backup(name);
    await writeArchive(context, flags.output, showTransfer(archive, context.err, name));
    return 0;
  },
});
