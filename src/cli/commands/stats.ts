// `berth stats`: show resource use of workloads as it changes.

import type { BerthClient } from '../../sdk/client.ts';
import type { StatsSample } from '../../sdk/types.ts';
import { type Context, defineCommand } from '../command.ts';
import { type Listing, printList, renderList, shortId } from '../format/list.ts';
import { binarySize, decimalSize } from '../format/units.ts';

type Row = ReturnType<typeof row>;

const HEADINGS = {
  ID: 'CONTAINER ID',
  Container: 'CONTAINER',
  Name: 'NAME',
  CPUPerc: 'CPU %',
  MemUsage: 'MEM USAGE / LIMIT',
  MemPerc: 'MEM %',
  NetIO: 'NET I/O',
  BlockIO: 'BLOCK I/O',
  PIDs: 'PIDS',
  Pressure: 'PRESSURE',
} as const;

export const command = defineCommand({
  usage: '[OPTIONS] [WORKLOAD...]',
  summary: 'Show resource use of workloads as it changes',
  flags: {
    all: { kind: 'bool', short: 'a', help: 'Also those that do not run' },
    format: { kind: 'string', help: "table, json, or a template: '{{.Name}} {{.MemUsage}}'" },
    'no-stream': { kind: 'bool', help: 'Show it once' },
    'no-trunc': { kind: 'bool', help: 'Do not shorten ids' },
  },
  args: { min: 0 },
  examples: [['stats --no-stream', 'all that run, once']],
  run: async (context, { flags, args }) => {
    const client = await context.client();
    const listing: Listing<Row> = {
      headings: HEADINGS,
      table: ['ID', 'Name', 'CPUPerc', 'MemUsage', 'MemPerc', 'NetIO', 'BlockIO', 'PIDs'],
      format: flags.format,
    };
    const view = { whole: flags['no-trunc'], all: flags.all, names: args };
    if (flags['no-stream']) {
      const targets = await chosen(client, view);
      const samples = await Promise.all(targets.map((name) => firstSample(client, name)));
      await printList(
        context,
        samples.map((sample) => row(sample, view.whole)),
        listing,
      );
      return 0;
    }
    return watch(context, client, view, listing);
  },
});

interface View {
  readonly whole: boolean;
  readonly all: boolean;
  readonly names: readonly string[];
}

async function chosen(client: BerthClient, view: View): Promise<readonly string[]> {
  if (view.names.length > 0) return view.names;
  return (await client.containers.list({ all: view.all })).map(({ Id }) => Id);
}

async function firstSample(client: BerthClient, name: string): Promise<StatsSample> {
  for await (const sample of client.containers.stats(name, { stream: false })) return sample;
  throw new Error(`no figures came for ${name}`);
}

/** Redraws with every sample; workloads come and go as the daemon tells. */
async function watch(
  context: Context,
  client: BerthClient,
  view: View,
  listing: Listing<Row>,
): Promise<number> {
  const latest = new Map<string, StatsSample>();
  const following = new Map<string, Promise<void>>();
  const terminal = context.out.isTerminal;
  const draw = async () => {
    const text = renderList(
      [...latest.values()].map((sample) => row(sample, view.whole)),
      listing,
    );
    await context.out.write(terminal ? `\x1b[H\x1b[J${text}` : text);
  };
  const follow = async (name: string) => {
    let id: string | undefined;
    for await (const sample of client.containers.stats(name)) {
      id = sample.id;
      latest.set(id, sample);
      await draw();
    }
    if (id !== undefined) latest.delete(id);
  };
  const add = (name: string) => {
    if (!following.has(name))
      following.set(
        name,
        follow(name).finally(() => following.delete(name)),
      );
  };
  for (const name of await chosen(client, view)) add(name);
  if (view.names.length > 0) {
    await Promise.all(following.values());
    return 0;
  }
  await draw();
  for await (const event of client.system.events({ filters: { type: ['container'], event: ['start'] } })) {
    add(event.Actor.ID);
  }
  return 0;
}

function row(sample: StatsSample, whole: boolean) {
  const { usage = 0, limit = 0, stats = {} } = sample.memory_stats;
  const used = Math.max(0, usage - (stats['total_inactive_file'] ?? stats['inactive_file'] ?? 0));
  const nets = Object.values(sample.networks ?? {});
  const blocks = sample.blkio_stats?.io_service_bytes_recursive ?? [];
  const block = (op: string) =>
    blocks.filter((item) => item.op.toLowerCase() === op).reduce((sum, item) => sum + item.value, 0);
  return {
    ID: shortId(sample.id, whole),
    Container: shortId(sample.id, whole),
    Name: sample.name.replace(/^\//, ''),
    CPUPerc: `${cpuPercent(sample).toFixed(2)}%`,
    MemUsage: `${binarySize(used)} / ${binarySize(limit)}`,
    MemPerc: `${limit > 0 ? ((used / limit) * 100).toFixed(2) : '0.00'}%`,
    NetIO: `${decimalSize(nets.reduce((sum, net) => sum + net.rx_bytes, 0))} / ${decimalSize(nets.reduce((sum, net) => sum + net.tx_bytes, 0))}`,
    BlockIO: `${decimalSize(block('read'))} / ${decimalSize(block('write'))}`,
    PIDs: String(sample.pids_stats?.current ?? 0),
    Pressure: pressure(sample),
  };
}

/** How much of the last ten seconds something in it waited, for what; `--` where the kernel does not tell. */
function pressure({ pressure_stats: stalls = {} }: StatsSample): string {
  const parts = Object.entries(stalls).map(([name, { some }]) => `${name} ${some.avg10.toFixed(1)}%`);
  return parts.join(', ') || '--';
}

/** Docker's formula: the workload's share of all CPU time that passed, times the number of CPUs. */
function cpuPercent({ cpu_stats: now, precpu_stats: before }: StatsSample): number {
  const used = now.cpu_usage.total_usage - (before?.cpu_usage?.total_usage ?? 0);
  const passed = (now.system_cpu_usage ?? 0) - (before?.system_cpu_usage ?? 0);
  return passed > 0 && used > 0 && before?.system_cpu_usage
    ? (used / passed) * (now.online_cpus ?? 1) * 100
    : 0;
}
