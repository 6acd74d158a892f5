// `berth system prune`: remove all that is not in use.

import { defineCommand } from '../command.ts';
import { parseFilters } from '../filters.ts';
import { imageLines, mayPrune, PRUNE_FLAGS, type Pruned, printPruned } from '../pruning.ts';

export const command = defineCommand({
  usage: '[OPTIONS]',
  summary: 'Remove all that is not in use',
  flags: {
    ...PRUNE_FLAGS,
    all: { kind: 'bool', short: 'a', help: 'All unused images, not only those without a name' },
    volumes: { kind: 'bool', help: 'Anonymous volumes too' },
  },
  args: { min: 0, max: 0 },
  examples: [['system prune -af --volumes', 'all of it, without asking']],
  run: async (context, { flags }) => {
    const images = flags.all ? 'all images that no workload uses' : 'all images without a name';
    const parts = [
      'all stopped workloads',
      images,
      ...(flags.volumes ? ['anonymous volumes that no workload uses'] : []),
    ];
    const warning = `This will remove:${parts.map((part) => `\n  - ${part}`).join('')}\n`;
    if (!(await mayPrune(context, flags.force, warning))) return 0;
    const client = await context.client();
    const filters = parseFilters(flags.filter);
    const gone = await client.containers.prune(filters);
    const groups: Pruned[] = [{ title: 'Deleted workloads', names: gone.ContainersDeleted ?? [] }];
    let bytes = gone.SpaceReclaimed;
    if (flags.volumes) {
      const volumes = await client.volumes.prune();
      groups.push({ title: 'Deleted volumes', names: volumes.VolumesDeleted ?? [] });
      bytes += volumes.SpaceReclaimed;
    }
    const pruned = await client.images.prune({ ...filters, dangling: [String(!flags.all)] });
    groups.push({ title: 'Deleted images', names: imageLines(pruned.ImagesDeleted) });
    await printPruned(context, groups, bytes + pruned.SpaceReclaimed);
    return 0;
  },
});
