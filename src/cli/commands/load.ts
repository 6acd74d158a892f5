// `berth load`: load images from a tar archive.

import { openArchive } from '../archive.ts';
import { defineCommand } from '../command.ts';
import { showProgress } from '../format/progress.ts';

export const command = defineCommand({
  usage: '[OPTIONS]',
  summary: 'Load images from a tar archive',
  details: 'Takes what "docker save" and OCI tools write, plain or compressed.',
  flags: {
    input: { kind: 'string', short: 'i', value: 'file', help: 'Read this file instead of stdin' },
    quiet: { kind: 'bool', short: 'q', help: 'Only say what was loaded' },
  },
  args: { min: 0, max: 0 },
  examples: [
    ['load -i debian.tar', 'from a file'],
    ['load < debian.tar.gz', 'from stdin'],
  ],
  run: async (context, { flags }) => {
    const archive = await openArchive(flags.input);
    const client = await context.client();
    const last = await showProgress(client.images.load(archive, { quiet: flags.quiet }), context.out, {
      quiet: flags.quiet,
    });
    if (flags.quiet && last !== undefined) await context.out.line(last);
    return 0;
  },
});
