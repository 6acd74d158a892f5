// Which limits and figures this host's kernel has that not every kernel has.

import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import type { Probe } from '../../core/index.ts';
import { cgroupHost } from '../../host/cgroup.ts';
import { readHostPressures, readNow } from '../../host/pressure.ts';

/** Reads a few files that the kernel makes up; never throws. */
export function probeLimits(): Probe[] {
  return [diskLimits(), diskWeights(), pressure()];
}

function diskLimits(): Probe {
  const name = 'disk limits';
  const { version, controllers } = cgroupHost();
  const file = join(controllers.get('blkio') ?? '/nonexistent', 'blkio.throttle.read_bps_device');
  if (version === 2 ? controllers.has('io') : existsSync(file))
    return {
      name,
      ok: true,
      detail: version === 2 ? 'all traffic' : 'reading and direct writing (cgroup version 1)',
    };
  return {
    name,
    ok: false,
    detail: `cgroup version ${version} has no ${version === 2 ? 'io' : 'blkio.throttle'} controller`,
    remedy: 'boot a kernel with CONFIG_BLK_DEV_THROTTLING, or leave limits of disks out',
  };
}

/** Without one that weighs, a weight is a wish that nobody hears. */
function diskWeights(): Probe {
  const weighing = listDisks().filter((disk) =>
    readNow(`/sys/block/${disk}/queue/scheduler`)?.includes('[bfq]'),
  );
  const detail =
    weighing.length > 0
      ? `heeded by ${weighing.join(', ')}`
      : 'heeded by no disk: the scheduler BFQ would (/sys/block/DISK/queue/scheduler)';
  return { name: 'disk weights', ok: true, detail };
}

function listDisks(): readonly string[] {
  try {
    return readdirSync('/sys/block');
  } catch {
    return [];
  }
}

function pressure(): Probe {
  const host = readHostPressures() !== undefined;
  const groups = host && cgroupHost().version === 2;
  const measured = groups ? 'measured for the host and each container' : 'measured for the host';
  return {
    name: 'pressure',
    ok: true,
    detail: host ? measured : 'not measured: boot with psi=1 to have it',
  };
}
