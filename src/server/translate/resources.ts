// Limits: Docker's numbers <-> ResourceSpec.

import {
  BerthError,
  type DeviceLimit,
  type DeviceLimits,
  type ResourceSpec,
  type RestartPolicy,
  type UlimitSpec,
} from '../../core/index.ts';
import {
  type DeviceRateRequest,
  given,
  type HostConfigRequest,
  type ResourcesRequest,
  type RestartPolicyRequest,
  type UlimitRequest,
} from '../../wire/index.ts';

export const DEFAULT_SHM_BYTES = 64 << 20;
const DEFAULT_PERIOD_US = 100_000;

const ULIMITS =
  'core cpu data fsize locks memlock msgqueue nice nofile nproc rss rtprio rttime sigpending stack'.split(
    ' ',
  );

type Limits = Omit<ResourceSpec, 'ulimits' | 'shmBytes' | 'oomScoreAdj' | 'oomKillDisable'>;

/** The last word about a path counts. */
function byPath(limits: readonly DeviceLimit[] | undefined): readonly DeviceLimit[] | undefined {
  return limits && [...new Map(limits.map((limit) => [limit.path, limit])).values()];
}

function toDeviceLimits(request: ResourcesRequest): DeviceLimits {
  const rates = (list: readonly DeviceRateRequest[] | undefined) =>
    byPath(list?.map(({ Path, Rate }) => ({ path: Path, value: Rate })));
  const weights = request.BlkioWeightDevice?.map(({ Path, Weight }) => ({ path: Path, value: Weight }));
  return {
    ...given('deviceReadBps', rates(request.BlkioDeviceReadBps)),
    ...given('deviceWriteBps', rates(request.BlkioDeviceWriteBps)),
    ...given('deviceReadIops', rates(request.BlkioDeviceReadIOps)),
    ...given('deviceWriteIops', rates(request.BlkioDeviceWriteIOps)),
    ...given('deviceWeights', byPath(weights)),
  };
}

function fromDeviceLimits(limits: DeviceLimits) {
  const rates = (list: readonly DeviceLimit[] | undefined) =>
    list?.map(({ path, value }) => ({ Path: path, Rate: value })) ?? null;
  return {
    BlkioWeightDevice: (limits.deviceWeights ?? []).map(({ path, value }) => ({
      Path: path,
      Weight: value,
    })),
    BlkioDeviceReadBps: rates(limits.deviceReadBps),
    BlkioDeviceWriteBps: rates(limits.deviceWriteBps),
    BlkioDeviceReadIOps: rates(limits.deviceReadIops),
    BlkioDeviceWriteIOps: rates(limits.deviceWriteIops),
  };
}

/** The limits that were given; zero and absent mean none. Fails with `invalid-argument`. */
export function toLimits(request: ResourcesRequest): Limits {
  for (const key of ['Memory', 'MemoryReservation', 'NanoCpus', 'CpuShares', 'BlkioWeight'] as const)
    if ((request[key] ?? 0) < 0) throw new BerthError('invalid-argument', `${key} cannot be negative`);
  return {
    ...given('memoryBytes', request.Memory),
    ...given('memorySwapBytes', request.MemorySwap),
    ...given('memoryReservationBytes', request.MemoryReservation),
    ...given('cpus', toCpus(request)),
    ...given('cpuShares', request.CpuShares),
    ...given('cpusetCpus', request.CpusetCpus),
    ...given('cpusetMems', request.CpusetMems),
    // In an update, -1 lifts it.
    ...given('pidsLimit', request.PidsLimit === undefined ? undefined : Math.max(-1, request.PidsLimit)),
    ...given('blkioWeight', request.BlkioWeight),
    ...toDeviceLimits(request),
  };
}

function toCpus({ NanoCpus, CpuQuota, CpuPeriod }: ResourcesRequest): number | undefined {
  if (NanoCpus !== undefined) {
    if (CpuQuota !== undefined || CpuPeriod !== undefined)
      throw new BerthError(
        'invalid-argument',
        'Conflicting options: Nano CPUs and CPU Period or Quota cannot both be set.',
      );
    return NanoCpus / 1e9;
  }
  return CpuQuota === undefined || CpuQuota < 0 ? undefined : CpuQuota / (CpuPeriod ?? DEFAULT_PERIOD_US);
}

/** Everything, for a new workload. */
export function toResources(host: HostConfigRequest): ResourceSpec {
  if ((host.ShmSize ?? 0) < 0) throw new BerthError('invalid-argument', 'SHM size can not be less than 0');
  const { pidsLimit, ...limits } = toLimits(host);
  return {
    ...limits,
    ...given('pidsLimit', pidsLimit !== undefined && pidsLimit > 0 ? pidsLimit : undefined),
    ulimits: host.Ulimits.map(toUlimit),
    shmBytes: host.ShmSize ?? DEFAULT_SHM_BYTES,
    ...given('oomScoreAdj', host.OomScoreAdj),
    oomKillDisable: host.OomKillDisable,
  };
}

function toUlimit({ Name, Soft, Hard }: UlimitRequest): UlimitSpec {
  if (!ULIMITS.includes(Name)) throw new BerthError('invalid-argument', `invalid ulimit type: ${Name}`);
  return { name: Name, soft: Soft, hard: Hard };
}

const RESTART_NAMES = ['no', 'always', 'unless-stopped', 'on-failure'] as const;

export function toRestart(request: RestartPolicyRequest | undefined): RestartPolicy {
  const wished = request?.Name || 'no';
  const name = RESTART_NAMES.find((known) => known === wished);
  if (name === undefined)
    throw new BerthError(
      'invalid-argument',
      `invalid restart policy: unknown policy '${wished}'; use one of '${RESTART_NAMES.join("', '")}'`,
    );
  return { name, maximumRetryCount: request?.MaximumRetryCount ?? 0 };
}

/** The limits as HostConfig members. */
export function fromResources(resources: ResourceSpec) {
  return {
    CpuShares: resources.cpuShares ?? 0,
    Memory: resources.memoryBytes ?? 0,
    NanoCpus: Math.round((resources.cpus ?? 0) * 1e9),
    BlkioWeight: resources.blkioWeight ?? 0,
    ...fromDeviceLimits(resources),
    CpuPeriod: 0,
    CpuQuota: 0,
    CpuRealtimePeriod: 0,
    CpuRealtimeRuntime: 0,
    CpusetCpus: resources.cpusetCpus ?? '',
    CpusetMems: resources.cpusetMems ?? '',
    MemoryReservation: resources.memoryReservationBytes ?? 0,
    MemorySwap: resources.memorySwapBytes ?? (resources.memoryBytes ?? 0) * 2,
    MemorySwappiness: null,
    OomKillDisable: resources.oomKillDisable,
    OomScoreAdj: resources.oomScoreAdj ?? 0,
    PidsLimit: resources.pidsLimit ?? null,
    ShmSize: resources.shmBytes,
    Ulimits: resources.ulimits.map(({ name, soft, hard }) => ({ Name: name, Soft: soft, Hard: hard })),
  };
}
