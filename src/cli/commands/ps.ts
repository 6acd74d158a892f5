// `berth ps`: list workloads.

import type { ContainerSummary } from '../../sdk/types.ts';
import { defineCommand } from '../command.ts';
import { parseFilters } from '../filters.ts';
import { ellipsis, labelText, printList, shortId } from '../format/list.ts';
import { ago, decimalSize } from '../format/units.ts';

const HEADINGS = {
  ID: 'CONTAINER ID',
  Image: 'IMAGE',
  Isolation: 'ISOLATION',
  Command: 'COMMAND',
  CreatedAt: 'CREATED AT',
  RunningFor: 'CREATED',
  Ports: 'PORTS',
  State: 'STATE',
  Status: 'STATUS',
  Size: 'SIZE',
  Names: 'NAMES',
  Labels: 'LABELS',
  Mounts: 'MOUNTS',
  LocalVolumes: 'LOCAL VOLUMES',
  Networks: 'NETWORKS',
} as const;

export const command = defineCommand({
  usage: '[OPTIONS]',
  summary: 'List workloads',
  flags: {
    all: { kind: 'bool', short: 'a', help: 'Also those that do not run' },
    filter: {
      kind: 'list',
      short: 'f',
      help: 'Only those that match: status=exited, name=…, label=…, ancestor=…',
    },
    format: { kind: 'string', help: "table, json, or a template: 'table {{.ID}}\\t{{.Names}}'" },
    last: { kind: 'int', short: 'n', help: 'The last n created, running or not' },
    latest: { kind: 'bool', short: 'l', help: 'The last created' },
    'no-trunc': { kind: 'bool', help: 'Do not shorten ids and commands' },
    quiet: { kind: 'bool', short: 'q', help: 'Only ids' },
    size: { kind: 'bool', short: 's', help: 'Show the size of their files' },
  },
  args: { min: 0, max: 0 },
  examples: [
    ['ps -a', 'all workloads'],
    ['ps --filter status=exited -q', 'ids of those that ended'],
    ["ps --format '{{.Names}}: {{.Status}}'", 'a line of your own'],
  ],
  run: async (context, { flags }) => {
    const limit = flags.latest ? 1 : flags.last;
    const wantsSize = flags.size || (flags.format?.includes('.Size') ?? false);
    const { containers } = await context.client();
    const list = await containers.list({
      all: flags.all,
      size: wantsSize,
      filters: parseFilters(flags.filter),
      ...(limit === undefined ? {} : { limit }),
    });
    const rows = list.map((item) => row(item, flags['no-trunc']));
    if (flags.quiet) {
      for (const { ID } of rows) await context.out.line(ID);
      return 0;
    }
    await printList(context, rows, {
      headings: HEADINGS,
      table: [
        ...(['ID', 'Image', 'Isolation', 'Command', 'RunningFor', 'Status', 'Ports'] as const),
        ...(flags.size ? (['Names', 'Size'] as const) : (['Names'] as const)),
      ],
      format: flags.format,
    });
    return 0;
  },
});

function row(item: ContainerSummary, whole: boolean) {
  return {
    ID: shortId(item.Id, whole),
    Image: item.Image.startsWith('sha256:') ? shortId(item.Image, whole) : item.Image,
    Isolation: item.HostConfig?.Isolation || 'container',
    Command: `"${ellipsis(item.Command, 20, whole)}"`,
    CreatedAt: new Date(item.Created * 1000).toISOString().replace('T', ' ').replace(/\..*/, ' +0000 UTC'),
    RunningFor: ago(item.Created),
    Ports: portText(item.Ports),
    State: item.State,
    Status: item.Status,
    Size: sizeText(item),
    Names: item.Names.map((name) => name.replace(/^\//, '')).join(','),
    Labels: labelText(item.Labels),
    Label: (name: unknown) => item.Labels[String(name)] ?? '',
    Mounts: (item.Mounts ?? []).map((mount) => ellipsis(mount.Name ?? mount.Source, 15, whole)).join(','),
    LocalVolumes: String((item.Mounts ?? []).filter((mount) => mount.Type === 'volume').length),
    Networks: Object.keys(item.NetworkSettings?.Networks ?? {}).join(','),
  };
}

function sizeText({ SizeRw, SizeRootFs }: ContainerSummary): string {
  if (SizeRw === undefined) return decimalSize(0);
  return `${decimalSize(SizeRw)}${SizeRootFs ? ` (virtual ${decimalSize(SizeRootFs)})` : ''}`;
}

function portText(ports: ContainerSummary['Ports']): string {
  return (ports ?? [])
    .map(({ IP, PublicPort, PrivatePort, Type }) =>
      PublicPort === undefined
        ? `${PrivatePort}/${Type}`
        : `${IP ?? ''}:${PublicPort}->${PrivatePort}/${Type}`,
    )
    .sort()
    .join(', ');
}
