// Block devices of the host by their numbers, as the kernel wants them named where traffic is limited.

import { readFileSync, statSync } from 'node:fs';
import { BerthError } from '../core/index.ts';

export interface DeviceNumber {
  readonly major: number;
  readonly minor: number;
}

/** Splits a device number as Linux's glibc and musl do. */
export function splitDevice(rdev: number): DeviceNumber {
  const number = BigInt(rdev);
  return {
    major: Number(((number >> 8n) & 0xfffn) | ((number >> 32n) & 0xfffff000n)),
    minor: Number((number & 0xffn) | ((number >> 12n) & 0xffffff00n)),
  };
}

/**
 * The disk that a path names; a partition stands for its disk, as the kernel limits only whole ones. Fails with
 * `invalid-argument` when the path is no block device.
 */
export function diskNumber(path: string): DeviceNumber {
  const info = statSync(path, { throwIfNoEntry: false });
  if (info === undefined)
    throw new BerthError('invalid-argument', `no such device: ${path}; lsblk lists those of this host`);
  if (!info.isBlockDevice())
    throw new BerthError(
      'invalid-argument',
      `${path} is not a block device: name a disk of this host, such as one that lsblk lists`,
    );
  const number = splitDevice(info.rdev);
  return partitionOf(number) ?? number;
}

/** The disk of a partition; undefined for a disk. */
function partitionOf({ major, minor }: DeviceNumber): DeviceNumber | undefined {
  const folder = `/sys/dev/block/${major}:${minor}`;
  try {
    readFileSync(`${folder}/partition`);
    const [of = '', number = ''] = readFileSync(`${folder}/../dev`, 'utf8').trim().split(':');
    return { major: Number(of), minor: Number(number) };
  } catch {
    return undefined;
  }
}
