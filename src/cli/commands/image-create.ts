// `berth image create`: make a base image without a registry.

import { defineCommand } from '../command.ts';
import { UsageError } from '../errors.ts';
import { showProgress } from '../format/progress.ts';

export const command = defineCommand({
  usage: '[OPTIONS] busybox|debian',
  summary: 'Make a base image without a registry',
  details:
    'busybox is made from this machine’s static busybox, debian from the packages of the distribution.',
  flags: {
    packages: { kind: 'list', value: 'list', help: 'Debian packages to add, with commas or given again' },
    tag: { kind: 'string', short: 't', help: 'Name of the image (default: that of the base)' },
    quiet: { kind: 'bool', short: 'q', help: 'Do not show progress' },
  },
  args: { min: 1, max: 1 },
  examples: [
    ['image create busybox', 'two megabytes with a shell and the common tools'],
    ['image create debian --packages nginx,curl -t web', 'Debian with two packages more'],
  ],
  run: async (context, { flags, args }) => {
    const [base = ''] = args;
    if (base !== 'busybox' && base !== 'debian') {
      throw new UsageError(`unknown base image ${JSON.stringify(base)}: busybox or debian`, 1);
    }
    const packages = flags.packages.flatMap((list) => list.split(',')).filter((name) => name !== '');
    if (base === 'busybox' && packages.length > 0) throw new UsageError('--packages is for debian', 1);
    const { images } = await context.client();
    const messages = images.createBase(base, {
      packages,
      ...(flags.tag === undefined ? {} : { tag: flags.tag }),
    });
    await showProgress(messages, context.out, { quiet: flags.quiet });
    await context.out.line(`Created image ${flags.tag ?? base}`);
    return 0;
  },
});
