// `berth import`: make an image from a tar archive of files.

import { splitReference } from '../../sdk/images.ts';
import { openArchive } from '../archive.ts';
import { defineCommand } from '../command.ts';
import { showProgress } from '../format/progress.ts';

export const command = defineCommand({
  usage: '[OPTIONS] FILE|- [REPOSITORY[:TAG]]',
  summary: 'Make an image from a tar archive of files',
  flags: {
    change: { kind: 'list', short: 'c', help: 'Apply a Dockerfile instruction: CMD, ENV, ENTRYPOINT, …' },
    message: { kind: 'string', short: 'm', help: 'Comment for the history' },
    platform: { kind: 'string', help: 'Platform it is for: OS/ARCH' },
  },
  args: { min: 1, max: 2 },
  examples: [['import -c \'CMD ["sh"]\' rootfs.tar mine:1', 'a root file system as an image with a command']],
  run: async (context, { flags, args }) => {
    const [path, name] = args;
    const { fromImage: repo, tag } =
      name === undefined ? { fromImage: undefined, tag: undefined } : splitReference(name);
    const archive = await openArchive(path);
    const { images } = await context.client();
    const messages = images.import(archive, {
      ...(repo === undefined ? {} : { repo, tag }),
      ...(flags.message === undefined ? {} : { message: flags.message }),
      ...(flags.platform === undefined ? {} : { platform: flags.platform }),
      changes: flags.change,
    });
    const id = await showProgress(messages, context.err, { quiet: true });
    if (id !== undefined) await context.out.line(id);
    return 0;
  },
});
