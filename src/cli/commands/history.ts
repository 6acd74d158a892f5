// `berth history`: show the history of an image.

import type { ImageHistoryEntry } from '../../sdk/types.ts';
import { defineCommand } from '../command.ts';
import { ellipsis, printList, shortId } from '../format/list.ts';
import { ago, decimalSize } from '../format/units.ts';

export const command = defineCommand({
  usage: '[OPTIONS] IMAGE',
  summary: 'Show the history of an image',
  flags: {
    format: { kind: 'string', help: 'table, json, or a template' },
    human: { kind: 'bool', short: 'H', default: true, help: 'Sizes and times for people (default true)' },
    'no-trunc': { kind: 'bool', help: 'Do not shorten' },
    quiet: { kind: 'bool', short: 'q', help: 'Only ids' },
  },
  args: { min: 1, max: 1 },
  examples: [['history debian', 'the steps that made the image, the last one first']],
  run: async (context, { flags, args }) => {
    const [name = ''] = args;
    const { images } = await context.client();
    const rows = (await images.history(name)).map((entry) => row(entry, flags['no-trunc'], flags.human));
    if (flags.quiet) {
      for (const { ID } of rows) await context.out.line(ID);
      return 0;
    }
    await printList(context, rows, {
      headings: {
        ID: 'IMAGE',
        CreatedSince: 'CREATED',
        CreatedAt: 'CREATED AT',
        CreatedBy: 'CREATED BY',
        Size: 'SIZE',
        Comment: 'COMMENT',
      },
      table: ['ID', flags.human ? 'CreatedSince' : 'CreatedAt', 'CreatedBy', 'Size', 'Comment'],
      format: flags.format,
    });
    return 0;
  },
});

function row(entry: ImageHistoryEntry, whole: boolean, human: boolean) {
  return {
    ID: entry.Id === '<missing>' ? entry.Id : shortId(entry.Id, whole),
    CreatedSince: ago(entry.Created),
    CreatedAt: new Date(entry.Created * 1000).toISOString().replace(/\..*/, 'Z'),
    CreatedBy: ellipsis(entry.CreatedBy.replaceAll('\t', ' '), 45, whole),
    Size: human ? decimalSize(entry.Size) : String(entry.Size),
    Comment: entry.Comment,
  };
}
