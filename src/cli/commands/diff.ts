// `berth diff`: show changes to a workload's files.

import { visibleText } from '../../formats/visible.ts';
import { defineCommand } from '../command.ts';

const LETTERS = { 0: 'C', 1: 'A', 2: 'D' } as const;

export const command = defineCommand({
  usage: 'WORKLOAD',
  summary: "Show changes to a workload's files",
  details: 'A line is A (added), C (changed) or D (deleted) and a path.',
  flags: {},
  args: { min: 1, max: 1 },
  examples: [['diff web', 'what it has written since it was created']],
  run: async (context, { args }) => {
    const [name = ''] = args;
    const { containers } = await context.client();
    const changes = await containers.files.changes(name);
    const show = context.out.isTerminal ? visibleText : (path: string) => path;
    await context.out.write(changes.map(({ Kind, Path }) => `${LETTERS[Kind]} ${show(Path)}\n`).join(''));
    return 0;
  },
});
