// `berth system df`: show disk use.

import type { DiskUsageAnswer } from '../../sdk/types.ts';
import { defineCommand } from '../command.ts';
import { printList } from '../format/list.ts';
import { decimalSize } from '../format/units.ts';

interface Row {
  readonly Type: string;
  readonly TotalCount: string;
  readonly Active: string;
  readonly Size: string;
  readonly Reclaimable: string;
}

export const command = defineCommand({
  usage: '[OPTIONS]',
  summary: 'Show disk use',
  flags: { format: { kind: 'string', help: 'table, json, or a template' } },
  args: { min: 0, max: 0 },
  examples: [['system df', 'how much images, workloads and volumes take']],
  run: async (context, { flags }) => {
    const usage = await (await context.client()).system.diskUsage();
    await printList<Row>(context, [imageRow(usage), workloadRow(usage), volumeRow(usage)], {
      headings: {
        Type: 'TYPE',
        TotalCount: 'TOTAL',
        Active: 'ACTIVE',
        Size: 'SIZE',
        Reclaimable: 'RECLAIMABLE',
      },
      table: ['Type', 'TotalCount', 'Active', 'Size', 'Reclaimable'],
      format: flags.format,
    });
    return 0;
  },
});

function imageRow({ Images, LayersSize }: DiskUsageAnswer): Row {
  const images = Images ?? [];
  const unused = images.filter((image) => image.Containers <= 0);
  const free = unused.reduce((sum, image) => sum + image.Size - Math.max(0, image.SharedSize ?? 0), 0);
  return row('Images', images.length, images.length - unused.length, LayersSize, Math.min(free, LayersSize));
}

function workloadRow({ Containers }: DiskUsageAnswer): Row {
  const all = Containers ?? [];
  const active = all.filter(
    ({ State }) => State === 'running' || State === 'paused' || State === 'restarting',
  );
  const size = (list: typeof all) => list.reduce((sum, item) => sum + (item.SizeRw ?? 0), 0);
  return row('Workloads', all.length, active.length, size(all), size(all) - size(active));
}

function volumeRow({ Volumes }: DiskUsageAnswer): Row {
  const all = Volumes ?? [];
  const used = all.filter(({ UsageData }) => (UsageData?.RefCount ?? 0) > 0);
  const size = (list: typeof all) =>
    list.reduce((sum, item) => sum + Math.max(0, item.UsageData?.Size ?? 0), 0);
  return row('Local Volumes', all.length, used.length, size(all), size(all) - size(used));
}

function row(type: string, total: number, active: number, bytes: number, freeBytes: number): Row {
  const share = bytes > 0 ? ` (${Math.round((freeBytes / bytes) * 100)}%)` : '';
  return {
    Type: type,
    TotalCount: String(total),
    Active: String(active),
    Size: decimalSize(bytes),
    Reclaimable: `${decimalSize(freeBytes)}${share}`,
  };
}
