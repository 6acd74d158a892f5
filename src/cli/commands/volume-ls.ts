// `berth volume ls`: list volumes.

import { defineCommand } from '../command.ts';
import { parseFilters } from '../filters.ts';
import { labelText, printList } from '../format/list.ts';

export const command = defineCommand({
  usage: '[OPTIONS]',
  summary: 'List volumes',
  flags: {
    filter: { kind: 'list', short: 'f', help: 'Only those that match: dangling=true, name=…, label=…' },
    format: { kind: 'string', help: 'table, json, or a template' },
    quiet: { kind: 'bool', short: 'q', help: 'Only names' },
  },
  args: { min: 0, max: 0 },
  examples: [['volume ls -q --filter dangling=true', 'names of those that no workload uses']],
  run: async (context, { flags }) => {
    const { volumes } = await context.client();
    const list = await volumes.list(parseFilters(flags.filter));
    if (flags.quiet) {
      for (const { Name } of list) await context.out.line(Name);
      return 0;
    }
    const rows = list.map((volume) => ({
      Driver: volume.Driver,
      Name: volume.Name,
      Mountpoint: volume.Mountpoint,
      Scope: volume.Scope,
      Labels: labelText(volume.Labels),
      Label: (name: unknown) => volume.Labels?.[String(name)] ?? '',
    }));
    await printList(context, rows, {
      headings: {
        Driver: 'DRIVER',
        Name: 'VOLUME NAME',
        Mountpoint: 'MOUNTPOINT',
        Scope: 'SCOPE',
        Labels: 'LABELS',
      },
      table: ['Driver', 'Name'],
      format: flags.format,
    });
    return 0;
  },
});
