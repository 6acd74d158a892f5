// `berth commit`: an image of a workload's file system.

import { splitReference } from '../../sdk/images.ts';
import { defineCommand } from '../command.ts';

export const command = defineCommand({
  usage: '[OPTIONS] WORKLOAD [REPOSITORY[:TAG]]',
  summary: "Make an image from a workload's files",
  details:
    'What the workload changed becomes a layer on top of its image; volumes and binds are not part of it. A running ' +
    'container is halted meanwhile, a virtual machine goes on. Running state is not captured: `berth checkpoint` does ' +
    'that for virtual machines.',
  flags: {
    author: { kind: 'string', short: 'a', help: 'Author of the image' },
    change: { kind: 'list', short: 'c', help: 'Apply a Dockerfile instruction: CMD, ENV, ENTRYPOINT, …' },
    message: { kind: 'string', short: 'm', help: 'Comment for the history' },
    pause: { kind: 'bool', short: 'p', default: true, help: 'Halt a running container meanwhile' },
  },
  args: { min: 1, max: 2 },
  examples: [
    ['commit web web:patched', 'the files of web as an image'],
    ['commit -c \'CMD ["serve"]\' -m "with data" web mine:2', 'with another command and a comment'],
  ],
  run: async (context, { flags, args: [workload = '', name] }) => {
    const { images } = await context.client();
    const reference = name === undefined ? {} : splitReference(name);
    const { fromImage: repo, tag } = { fromImage: undefined, tag: undefined, ...reference };
    const id = await images.commit(workload, {
      ...(repo === undefined ? {} : { repo }),
      ...(tag === undefined ? {} : { tag }),
      ...(flags.message === undefined ? {} : { comment: flags.message }),
      ...(flags.author === undefined ? {} : { author: flags.author }),
      changes: flags.change,
      pause: flags.pause,
    });
    await context.out.line(id);
    return 0;
  },
});
