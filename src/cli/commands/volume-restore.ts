// `berth volume restore`: replace a volume's content by that of a tar archive.

import { openArchive } from '../archive.ts';
import { defineCommand } from '../command.ts';
import { showTransfer } from '../transfer.ts';

export const command = defineCommand({
  usage: '[OPTIONS] VOLUME',
  summary: "Replace a volume's content by that of a tar archive",
  details:
    'Makes the volume if there is none. All of the archive is unpacked before anything is replaced: when that fails, the volume is as it was. Takes plain, gzip and zstd archives.',
  flags: {
    input: { kind: 'string', short: 'i', value: 'file', help: 'Read this file instead of stdin' },
    force: { kind: 'bool', short: 'f', help: 'Also while workloads that run use it' },
  },
  args: { min: 1, max: 1 },
  examples: [
    ['volume restore -i data.tar data', 'from a file'],
    ['volume backup data | berth volume restore copy', 'a copy of a volume'],
  ],
  run: async (context, { flags, args }) => {
    const [name = ''] = args;
    const archive = await openArchive(flags.input);
    const { volumes } = await context.client();
    await volumes.restore(name, showTransfer(archive, context.err, name), { force: flags.force });
    await context.out.line(name);
    return 0;
  },
});
