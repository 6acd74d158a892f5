// `berth config ls`: the daemon's settings.

import { defineCommand } from '../command.ts';
import { printList } from '../format/list.ts';

export const command = defineCommand({
  usage: '[OPTIONS]',
  summary: 'List the settings of the daemon',
  flags: { format: { kind: 'string', help: 'table, json, or a template' } },
  args: { min: 0, max: 0 },
  examples: [['config ls', 'every setting, its value and what it is for']],
  run: async (context, { flags }) => {
    const { config } = await context.client();
    const rows = (await config.list()).map((setting) => ({
      Name: setting.name,
      Value: setting.value,
      Default: setting.default,
      Description: setting.help,
    }));
    await printList(context, rows, {
      headings: { Name: 'NAME', Value: 'VALUE', Default: 'DEFAULT', Description: 'DESCRIPTION' },
      table: ['Name', 'Value', 'Default', 'Description'],
      format: flags.format,
    });
    return 0;
  },
});
