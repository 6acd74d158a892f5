// Limits per disk: the flags of `run`, `create` and `update` to Docker's lists.

import type { ResourcesRequest } from '../../sdk/types.ts';
import { CliError } from '../errors.ts';
import { parseSize } from '../format/units.ts';

const FLAGS = [
  'device-read-bps',
  'device-write-bps',
  'device-read-iops',
  'device-write-iops',
  'blkio-weight-device',
] as const;

type DeviceFlags = { readonly [K in (typeof FLAGS)[number]]: readonly string[] };
type Lists = Pick<
  ResourcesRequest,
  | 'BlkioDeviceReadBps'
  | 'BlkioDeviceWriteBps'
  | 'BlkioDeviceReadIOps'
  | 'BlkioDeviceWriteIOps'
  | 'BlkioWeightDevice'
>;

/** Those that were given. Throws CliError naming the flag. */
export function deviceLimits(flags: DeviceFlags): { [K in keyof Lists]: Lists[K] | undefined } {
  const rates = (flag: (typeof FLAGS)[number], read: (text: string, what: string) => number) => {
    const list = flags[flag].map((text) => {
      const { path, value } = split(text, flag);
      return { Path: path, Rate: read(value, `--${flag}`) };
    });
    return list.length === 0 ? undefined : list;
  };
  const weights = rates('blkio-weight-device', parseCount);
  return {
    BlkioDeviceReadBps: rates('device-read-bps', parseSize),
    BlkioDeviceWriteBps: rates('device-write-bps', parseSize),
    BlkioDeviceReadIOps: rates('device-read-iops', parseCount),
    BlkioDeviceWriteIOps: rates('device-write-iops', parseCount),
    BlkioWeightDevice: weights?.map(({ Path, Rate }) => ({ Path, Weight: Rate })),
  };
}

function split(text: string, flag: string): { path: string; value: string } {
  const cut = text.lastIndexOf(':');
  if (cut > 0 && text.startsWith('/')) return { path: text.slice(0, cut), value: text.slice(cut + 1) };
  throw new CliError(
    `invalid --${flag} ${JSON.stringify(text)}: give a device of the host and a number, such as /dev/sda:${flag.endsWith('bps') ? '10m' : '100'}`,
    125,
  );
}

function parseCount(text: string, what: string): number {
  if (/^\d+$/.test(text)) return Number(text);
  throw new CliError(`invalid number ${JSON.stringify(text)} for ${what}`, 125);
}
