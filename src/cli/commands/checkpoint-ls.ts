// `berth checkpoint ls`: list running states that are kept.

import { defineCommand } from '../command.ts';
import { printList, shortId } from '../format/list.ts';
import { ago, decimalSize } from '../format/units.ts';

const HEADINGS = {
  ID: 'CHECKPOINT ID',
  Name: 'NAME',
  Workload: 'WORKLOAD',
  Image: 'IMAGE',
  CreatedSince: 'CREATED',
  CreatedAt: 'CREATED AT',
  Size: 'SIZE',
  Pause: 'PAUSE',
} as const;

export const command = defineCommand({
  usage: '[OPTIONS]',
  summary: 'List checkpoints',
  flags: {
    format: { kind: 'string', help: "table, json, or a template: '{{.Name}} {{.Size}}'" },
    'no-trunc': { kind: 'bool', help: 'Do not shorten ids' },
    quiet: { kind: 'bool', short: 'q', help: 'Only names' },
  },
  args: { min: 0, max: 0 },
  examples: [['checkpoint ls', 'all checkpoints, newest first']],
  run: async (context, { flags }) => {
    const { checkpoints } = await context.client();
    const list = await checkpoints.list();
    if (flags.quiet) {
      for (const { name } of list) await context.out.line(name);
      return 0;
    }
    const rows = list.map((checkpoint) => ({
      ID: shortId(checkpoint.id, flags['no-trunc']),
      Name: checkpoint.name,
      Workload: checkpoint.workloadName,
      Image: checkpoint.image,
      CreatedSince: ago(Date.parse(checkpoint.createdAt) / 1000),
      CreatedAt: checkpoint.createdAt,
      Size: decimalSize(checkpoint.sizeBytes),
      Pause: `${Math.round(checkpoint.pauseMs)} ms`,
    }));
    await printList(context, rows, {
      headings: HEADINGS,
      table: ['ID', 'Name', 'Workload', 'Image', 'CreatedSince', 'Size'],
      format: flags.format,
    });
    return 0;
  },
});
