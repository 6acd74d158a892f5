// `berth save`: save images to a tar archive.

import { OUTPUT_FLAG, refuseTerminal, writeArchive } from '../archive.ts';
import { defineCommand } from '../command.ts';

export const command = defineCommand({
  usage: '[OPTIONS] IMAGE [IMAGE...]',
  summary: 'Save images to a tar archive',
  flags: OUTPUT_FLAG,
  args: { min: 1 },
  examples: [['save -o both.tar debian busybox', 'two images, to be loaded elsewhere']],
  run: async (context, { flags, args }) => {
    if (flags.output === undefined) refuseTerminal(context);
    const { images } = await context.client();
    await writeArchive(context, flags.output, await images.save(args));
    return 0;
  },
});
