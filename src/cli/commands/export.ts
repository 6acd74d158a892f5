// `berth export`: write a workload's files as a tar archive.

import { OUTPUT_FLAG, writeArchive } from '../archive.ts';
import { defineCommand } from '../command.ts';

export const command = defineCommand({
  usage: '[OPTIONS] WORKLOAD',
  summary: "Write a workload's files as a tar archive",
  flags: OUTPUT_FLAG,
  args: { min: 1, max: 1 },
  examples: [['export -o web.tar web', 'all files of web, without volumes']],
  run: async (context, { flags, args }) => {
    const [name = ''] = args;
    const { containers } = await context.client();
    await writeArchive(context, flags.output, await containers.files.export(name));
    return 0;
  },
});
