// `berth pull`: fetch an image from a registry.

import { splitReference } from '../../sdk/images.ts';
import { defineCommand } from '../command.ts';
import { pullImage } from '../workload/pull.ts';

export const command = defineCommand({
  usage: '[OPTIONS] NAME[:TAG|@DIGEST]',
  summary: 'Fetch an image from a registry',
  flags: {
    platform: { kind: 'string', help: 'Platform: OS/ARCH[/VARIANT]' },
    quiet: { kind: 'bool', short: 'q', help: 'Only print the name' },
  },
  args: { min: 1, max: 1 },
  examples: [
    ['pull debian:12', 'from Docker Hub'],
    ['pull localhost:5000/mine@sha256:…', 'exactly this image from another registry'],
  ],
  run: async (context, { flags, args }) => {
    const [name = ''] = args;
    const { fromImage, tag } = splitReference(name);
    const full = name.includes('@') ? name : `${fromImage}:${tag}`;
    if (!flags.quiet && full !== name) await context.out.line(`Using default tag: ${tag}`);
    await pullImage(context, await context.client(), full, {
      ...(flags.platform === undefined ? {} : { platform: flags.platform }),
      quiet: flags.quiet,
      output: context.out,
    });
    if (flags.quiet) await context.out.line(full);
    return 0;
  },
});
