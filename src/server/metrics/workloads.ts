// Figures of workloads as metrics: the same names whatever the isolation. docs/metrics.md lists them.

import { type InstanceStats, PRESSURES, type Pressures, type WorkloadView } from '../../core/index.ts';
import { type Exposition, formatLabels, type Metric } from './exposition.ts';

type Read = (stats: InstanceStats) => number | undefined;

const seconds = (ns: number | undefined) => (ns === undefined ? undefined : ns / 1e9);

/** Name without its prefix, type, what it is, and where it is found. */
const FIGURES: readonly (readonly [name: string, type: Metric['type'], help: string, read: Read])[] = [
  ['memory_usage_bytes', 'gauge', 'Memory in use, page cache included.', ({ memory }) => memory.usageBytes],
  ['memory_cache_bytes', 'gauge', 'Page cache that can be given back.', ({ memory }) => memory.cacheBytes],
  ['memory_swap_bytes', 'gauge', 'Memory that is swapped out.', ({ memory }) => memory.swapBytes],
  ['memory_peak_bytes', 'gauge', 'The most memory there ever was in use.', ({ memory }) => memory.peakBytes],
  ['memory_limit_bytes', 'gauge', 'Memory limit.', ({ memory }) => memory.limitBytes],
  ['oom_kills_total', 'counter', 'Processes killed for want of memory.', ({ memory }) => memory.oomKills],
  ['cpu_seconds_total', 'counter', 'CPU time spent.', ({ cpu }) => seconds(cpu.totalNs)],
  ['cpu_user_seconds_total', 'counter', 'CPU time spent in user mode.', ({ cpu }) => seconds(cpu.userNs)],
  [
    'cpu_system_seconds_total',
    'counter',
    'CPU time spent in the kernel.',
    ({ cpu }) => seconds(cpu.systemNs),
  ],
  [
    'cpu_throttled_seconds_total',
    'counter',
    'Time held back by the CPU limit.',
    ({ cpu }) => seconds(cpu.throttledNs),
  ],
  ['cpu_periods_total', 'counter', 'Periods of the CPU limit that ran.', ({ cpu }) => cpu.periods],
  [
    'cpu_throttled_periods_total',
    'counter',
    'Periods in which the CPU limit held it back.',
    ({ cpu }) => cpu.throttledPeriods,
  ],
  ['pids', 'gauge', 'Processes and threads.', ({ pids }) => pids.current],
  ['pids_limit', 'gauge', 'Limit of processes and threads.', ({ pids }) => pids.limit],
  ['block_read_bytes_total', 'counter', 'Bytes read from disks.', ({ block }) => block?.readBytes],
  ['block_write_bytes_total', 'counter', 'Bytes written to disks.', ({ block }) => block?.writeBytes],
  ['block_reads_total', 'counter', 'Read operations on disks.', ({ block }) => block?.readOperations],
  ['block_writes_total', 'counter', 'Write operations on disks.', ({ block }) => block?.writeOperations],
];

const METRICS = FIGURES.map(
  ([name, type, help, read]) => [{ name: `berth_workload_${name}`, type, help }, read] as const,
);

const STATE: Metric = {
  name: 'berth_workload_state',
  type: 'gauge',
  help: 'Always 1: the state is a label.',
};
const STARTED: Metric = {
  name: 'berth_workload_start_time_seconds',
  type: 'gauge',
  help: 'When the run that goes on began, since the epoch.',
};
const RESTARTS: Metric = {
  name: 'berth_workload_restarts_total',
  type: 'counter',
  help: 'Restarts by the restart policy.',
};

/** One workload; without `stats`, what is known of one that does not run. */
export function addWorkload(out: Exposition, view: WorkloadView, stats: InstanceStats | undefined): void {
  const { id, name, spec } = view;
  const labels = formatLabels({ id, name, isolation: spec.isolation, image: spec.image });
  out.add(STATE, `${labels},${formatLabels({ state: view.state })}`, 1);
  out.add(RESTARTS, labels, view.restartCount);
  if (stats === undefined) return;
  const started = Date.parse(view.startedAt ?? '');
  out.add(STARTED, labels, Number.isNaN(started) ? undefined : started / 1000);
  for (const [metric, read] of METRICS) out.add(metric, labels, read(stats));
  addPressures(out, 'berth_workload', labels, stats.pressure);
}

/** Names as the Prometheus node exporter has them for a host: some waited, all stood still. */
export function addPressures(
  out: Exposition,
  prefix: string,
  labels: string,
  pressures: Pressures | undefined,
): void {
  for (const resource of PRESSURES) {
    const pressure = pressures?.[resource];
    if (pressure === undefined) continue;
    const all = [labels, formatLabels({ resource })].filter((part) => part !== '').join(',');
    const metric = (name: string, help: string): Metric => ({
      name: `${prefix}_pressure_${name}_seconds_total`,
      type: 'counter',
      help,
    });
    out.add(metric('waiting', 'Time in which some work waited for the resource.'), all, micro(pressure.some));
    if (pressure.full !== undefined)
      out.add(
        metric('stalled', 'Time in which all work waited for the resource.'),
        all,
        micro(pressure.full),
      );
  }
}

const micro = ({ totalUs }: { readonly totalUs: number }) => totalUs / 1e6;
