// Limits per disk as control-group files: one line for each disk, which leaves the lines of others alone.

import { DEVICE_LIMITS, type DeviceLimits } from '../core/index.ts';
import type { DeviceNumber } from './block-device.ts';
import { type CgroupWrite, ioWeight } from './cgroup-write.ts';

type Kind = (typeof DEVICE_LIMITS)[number];
type Numbering = (path: string) => DeviceNumber;

const V1_FILES: Readonly<Record<Exclude<Kind, 'deviceWeights'>, string>> = {
  deviceReadBps: 'blkio.throttle.read_bps_device',
  deviceWriteBps: 'blkio.throttle.write_bps_device',
  deviceReadIops: 'blkio.throttle.read_iops_device',
  deviceWriteIops: 'blkio.throttle.write_iops_device',
};

/** Keys of io.max. */
const V2_KEYS: Readonly<Record<Exclude<Kind, 'deviceWeights'>, string>> = {
  deviceReadBps: 'rbps',
  deviceWriteBps: 'wbps',
  deviceReadIops: 'riops',
  deviceWriteIops: 'wiops',
};

/** A value of 0 lifts the limit. */
export function deviceWrites(limits: DeviceLimits, version: 1 | 2, numberOf: Numbering): CgroupWrite[] {
  return DEVICE_LIMITS.flatMap((kind) =>
    (limits[kind] ?? []).flatMap(({ path, value }) => {
      const { major, minor } = numberOf(path);
      const device = `${major}:${minor}`;
      if (kind === 'deviceWeights') return weightWrites(device, value, version);
      if (version === 1) return [line('blkio', V1_FILES[kind], device, `${value}`)];
      return [line('io', 'io.max', device, `${V2_KEYS[kind]}=${value === 0 ? 'max' : value}`)];
    }),
  );
}

/** Only a scheduler that weighs (BFQ, or the cost model of version 2) has the files. */
function weightWrites(device: string, value: number, version: 1 | 2): CgroupWrite[] {
  const optional = true;
  if (version === 1)
    return ['blkio.weight_device', 'blkio.bfq.weight_device'].map((file) =>
      line('blkio', file, device, `${value}`, optional),
    );
  const text = (weight: number) => (value === 0 ? 'default' : `${weight}`);
  return [
    line('io', 'io.weight', device, text(ioWeight(value)), optional),
    line('io', 'io.bfq.weight', device, text(value), optional),
  ];
}

function line(
  controller: string,
  file: string,
  device: string,
  value: string,
  optional = false,
): CgroupWrite {
  return { controller, file, value: `${device} ${value}`, optional, device };
}

/** What to write to have a disk's line as it stood in the file's former text. */
export function formerLine(write: CgroupWrite & { readonly device: string }, text: string): string {
  const found = text.split('\n').find((entry) => entry.startsWith(`${write.device} `));
  if (found !== undefined) return found.trim();
  if (write.file === 'io.max') return `${write.device} rbps=max wbps=max riops=max wiops=max`;
  return `${write.device} ${write.file.startsWith('io.') ? 'default' : '0'}`;
}

/** What was limited before and is not mentioned any more is to be lifted. */
export function liftedDevices(before: DeviceLimits, after: DeviceLimits): DeviceLimits {
  return Object.fromEntries(
    DEVICE_LIMITS.map((kind) => {
      const kept = after[kind] ?? [];
      const gone = (before[kind] ?? []).filter(({ path }) => kept.every((limit) => limit.path !== path));
      return [kind, [...gone.map(({ path }) => ({ path, value: 0 })), ...kept]];
    }),
  );
}
