// `berth inspect`: show all details of workloads, images, volumes or networks.

import type { BerthClient } from '../../sdk/client.ts';
import { defineCommand } from '../command.ts';
import { UsageError } from '../errors.ts';
import { INSPECT_FLAGS, inspectAll, type Lookup } from '../inspecting.ts';

export const command = defineCommand({
  usage: '[OPTIONS] NAME|ID [NAME|ID...]',
  summary: 'Show all details of workloads, images, volumes or networks',
  flags: {
    ...INSPECT_FLAGS,
    size: { kind: 'bool', short: 's', help: 'Measure the files of workloads too' },
    type: { kind: 'string', value: 'container|image|volume|network', help: 'Look only among these' },
  },
  args: { min: 1 },
  examples: [
    ["inspect -f '{{.State.ExitCode}}' job", 'one field'],
    ['inspect --type image debian', 'the image, should a workload have the same name'],
  ],
  run: async (context, { flags, args }) => {
    const lookups = lookupsOf(await context.client(), flags.size);
    if (flags.type !== undefined && !(flags.type in lookups)) {
      throw new UsageError(`invalid --type ${flags.type}: ${Object.keys(lookups).join(', ')}`, 1);
    }
    const chosen = Object.entries(lookups).filter(
      ([type]) => flags.type === undefined || flags.type === type,
    );
    return inspectAll(
      context,
      args,
      chosen.map(([, lookup]) => lookup),
      flags.format,
    );
  },
});

function lookupsOf(client: BerthClient, size: boolean): Readonly<Record<string, Lookup>> {
  return {
    container: (name) => client.containers.inspect(name, { size, counters: true }),
    image: (name) => client.images.inspect(name),
    volume: (name) => client.volumes.inspect(name),
    network: (name) => client.networks.inspect(name),
  };
}
