// GET /containers/{id}/stats: InstanceStats -> Docker's sample. Clients compute CPU % from two of them, as
// (cpu - precpu) / (system - presystem) * online_cpus * 100; memory as usage minus inactive file pages.

import type { InstanceStats, NetworkFigures } from '../../core/index.ts';
import { NO_TIME } from '../../wire/index.ts';

export interface Sample {
  readonly stats: InstanceStats;
  /** CPU time of the whole host, in nanoseconds, read at the same time. */
  readonly hostCpuNs: number;
  /** By interface. */
  readonly networks: ReadonlyMap<string, NetworkFigures>;
}

export interface SampleContext {
  readonly id: string;
  readonly name: string;
  readonly cpus: number;
  readonly hostMemoryBytes: number;
}

export function toStatsJson(
  context: SampleContext,
  sample: Sample | undefined,
  previous: Sample | undefined,
) {
  return {
    read: sample?.stats.readAt ?? NO_TIME,
    preread: previous?.stats.readAt ?? NO_TIME,
    pids_stats: sample === undefined ? {} : toPids(sample.stats),
    blkio_stats: toBlock(sample?.stats),
    num_procs: 0,
    storage_stats: {},
    cpu_stats: toCpu(sample, context.cpus),
    precpu_stats: toCpu(previous, context.cpus),
    memory_stats: sample === undefined ? {} : toMemory(sample.stats, context.hostMemoryBytes),
    name: `/${context.name}`,
    id: context.id,
    networks: toNetworks(sample?.networks),
    // Not Docker's; only where the kernel measures it.
    ...(sample?.stats.pressure === undefined ? {} : { pressure_stats: sample.stats.pressure }),
  };
}

function toNetworks(networks: Sample['networks'] = new Map()) {
  const entries = [...networks].map(([name, { receivedBytes, receivedPackets, sentBytes, sentPackets }]) => [
    name,
    {
      ...{ rx_bytes: receivedBytes, rx_packets: receivedPackets, rx_errors: 0, rx_dropped: 0 },
      ...{ tx_bytes: sentBytes, tx_packets: sentPackets, tx_errors: 0, tx_dropped: 0 },
    },
  ]);
  return Object.fromEntries(entries) as Readonly<Record<string, object>>;
}

function toPids({ pids }: InstanceStats) {
  return { current: pids.current, ...(pids.limit === undefined ? {} : { limit: pids.limit }) };
}

function toCpu(sample: Sample | undefined, cpus: number) {
  const cpu = sample?.stats.cpu;
  return {
    cpu_usage: {
      total_usage: cpu?.totalNs ?? 0,
      usage_in_kernelmode: cpu?.systemNs ?? 0,
      usage_in_usermode: cpu?.userNs ?? 0,
    },
    ...(sample === undefined ? {} : { system_cpu_usage: sample.hostCpuNs, online_cpus: cpus }),
    throttling_data: {
      periods: cpu?.periods ?? 0,
      throttled_periods: cpu?.throttledPeriods ?? 0,
      throttled_time: cpu?.throttledNs ?? 0,
    },
  };
}

function toMemory({ memory }: InstanceStats, hostMemoryBytes: number) {
  return {
    usage: memory.usageBytes,
    ...(memory.peakBytes === undefined ? {} : { max_usage: memory.peakBytes }),
    // Clients subtract the first of these that they know: cgroup v1's name, then v2's.
    stats: {
      ...(memory.cacheBytes === undefined
        ? {}
        : { total_inactive_file: memory.cacheBytes, inactive_file: memory.cacheBytes }),
      ...memory.detail,
    },
    limit: Math.min(memory.limitBytes ?? hostMemoryBytes, hostMemoryBytes),
  };
}

function toBlock(stats: InstanceStats | undefined) {
  const block = stats?.block;
  const entries = (read: number | undefined, write: number | undefined) =>
    read === undefined || write === undefined
      ? []
      : [
          { major: 0, minor: 0, op: 'read', value: read },
          { major: 0, minor: 0, op: 'write', value: write },
        ];
  return {
    io_service_bytes_recursive: entries(block?.readBytes, block?.writeBytes),
    io_serviced_recursive: entries(block?.readOperations, block?.writeOperations),
    io_queue_recursive: null,
    io_service_time_recursive: null,
    io_wait_time_recursive: null,
    io_merged_recursive: null,
    io_time_recursive: null,
    sectors_recursive: null,
  };
}
