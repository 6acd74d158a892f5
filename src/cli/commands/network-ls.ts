// `berth network ls`: list networks.

import { defineCommand } from '../command.ts';
import { parseFilters } from '../filters.ts';
import { labelText, printList, shortId } from '../format/list.ts';

export const command = defineCommand({
  usage: '[OPTIONS]',
  summary: 'List networks',
  flags: {
    filter: { kind: 'list', short: 'f', help: 'Only those that match: name=…, driver=…' },
    format: { kind: 'string', help: 'table, json, or a template' },
    'no-trunc': { kind: 'bool', help: 'Do not shorten ids' },
    quiet: { kind: 'bool', short: 'q', help: 'Only ids' },
  },
  args: { min: 0, max: 0 },
  examples: [['network ls', 'all networks']],
  run: async (context, { flags }) => {
    const { networks } = await context.client();
    const rows = (await networks.list(parseFilters(flags.filter))).map((network) => ({
      ID: shortId(network.Id, flags['no-trunc']),
      Name: network.Name,
      Driver: network.Driver,
      Scope: network.Scope,
      CreatedAt: network.Created,
      Internal: String(network.Internal),
      IPv6: String(network.EnableIPv6),
      Labels: labelText(network.Labels),
    }));
    if (flags.quiet) {
      for (const { ID } of rows) await context.out.line(ID);
      return 0;
    }
    await printList(context, rows, {
      headings: {
        ID: 'NETWORK ID',
        Name: 'NAME',
        Driver: 'DRIVER',
        Scope: 'SCOPE',
        CreatedAt: 'CREATED AT',
        Internal: 'INTERNAL',
        IPv6: 'IPV6',
        Labels: 'LABELS',
      },
      table: ['ID', 'Name', 'Driver', 'Scope'],
      format: flags.format,
    });
    return 0;
  },
});
