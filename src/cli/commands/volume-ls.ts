// `berth volume ls`: list volumes.

import type { BerthClient } from '../../sdk/client.ts';
import type { Filters, VolumeDetails } from '../../sdk/types.ts';
import { defineCommand } from '../command.ts';
import { parseFilters } from '../filters.ts';
import { labelText, printList } from '../format/list.ts';
import { decimalSize } from '../format/units.ts';

export const command = defineCommand({
  usage: '[OPTIONS]',
  summary: 'List volumes',
  flags: {
    filter: {
      kind: 'list',
      short: 'f',
      help: 'Only those that match: dangling=true, name=…, label=…, driver=…',
    },
    format: { kind: 'string', help: 'table, json, or a template' },
    quiet: { kind: 'bool', short: 'q', help: 'Only names' },
    size: { kind: 'bool', short: 's', help: 'Also how much each holds, its limit, and how many use it' },
  },
  args: { min: 0, max: 0 },
  examples: [
    ['volume ls -q --filter dangling=true', 'names of those that no workload uses'],
    ['volume ls -s', 'with what they take on the disk'],
  ],
  run: async (context, { flags }) => {
    const client = await context.client();
    const list = await listVolumes(client, parseFilters(flags.filter), flags.size);
    if (flags.quiet) {
      for (const { Name } of list) await context.out.line(Name);
      return 0;
    }
    await printList(context, list.map(rowOf), {
      headings: {
        Driver: 'DRIVER',
        Name: 'VOLUME NAME',
        Mountpoint: 'MOUNTPOINT',
        Scope: 'SCOPE',
        Labels: 'LABELS',
        Size: 'SIZE',
        Limit: 'LIMIT',
        Links: 'LINKS',
      },
      table: flags.size ? ['Driver', 'Name', 'Size', 'Limit', 'Links'] : ['Driver', 'Name'],
      format: flags.format,
    });
    return 0;
  },
});

/** Measuring takes a walk through every volume, so it is done only when asked for. */
async function listVolumes(client: BerthClient, filters: Filters, sizes: boolean): Promise<VolumeDetails[]> {
  const list = await client.volumes.list(filters);
  if (!sizes) return list;
  const { Volumes } = await client.system.diskUsage({ type: 'volume' });
  const measured = new Map(Volumes?.map((volume) => [volume.Name, volume]));
  return list.map((volume) => measured.get(volume.Name) ?? volume);
}

function rowOf(volume: VolumeDetails) {
  const { UsageData: usage } = volume;
  return {
    Driver: volume.Driver,
    Name: volume.Name,
    Mountpoint: volume.Mountpoint,
    Scope: volume.Scope,
    Labels: labelText(volume.Labels),
    Size: usage === undefined ? 'N/A' : decimalSize(usage.Size),
    Limit: volume.Options?.['size'] ?? '-',
    Links: usage === undefined ? 'N/A' : String(usage.RefCount),
    Label: (name: unknown) => volume.Labels?.[String(name)] ?? '',
  };
}
