// `berth update`: change limits of workloads.

import type { ResourcesRequest, RestartPolicyRequest } from '../../sdk/types.ts';
import { defineCommand } from '../command.ts';
import { CliError } from '../errors.ts';
import { parseSize } from '../format/units.ts';
import { eachTarget } from '../targets.ts';
import { deviceLimits } from '../workload/device-limits.ts';
import { WORKLOAD_FLAGS } from '../workload/flags.ts';
import { parseRestart } from '../workload/values.ts';

export const command = defineCommand({
  usage: '[OPTIONS] WORKLOAD [WORKLOAD...]',
  summary: 'Change limits of workloads',
  flags: {
    'blkio-weight': { kind: 'int', help: 'Relative weight for disk access, 10 to 1000' },
    'blkio-weight-device': WORKLOAD_FLAGS['blkio-weight-device'],
    'cpu-shares': { kind: 'int', short: 'c', help: 'Relative weight for CPU time' },
    cpus: { kind: 'float', help: 'Number of CPUs' },
    'cpuset-cpus': { kind: 'string', help: 'CPUs to run on: 0-3, 0,1' },
    'cpuset-mems': { kind: 'string', help: 'Memory nodes to use' },
    'device-read-bps': WORKLOAD_FLAGS['device-read-bps'],
    'device-read-iops': WORKLOAD_FLAGS['device-read-iops'],
    'device-write-bps': WORKLOAD_FLAGS['device-write-bps'],
    'device-write-iops': WORKLOAD_FLAGS['device-write-iops'],
    memory: { kind: 'string', short: 'm', value: 'bytes', help: 'Memory limit' },
    'memory-reservation': { kind: 'string', value: 'bytes', help: 'Memory to keep under pressure' },
    'memory-swap': { kind: 'string', value: 'bytes', help: 'Memory plus swap; -1 for unlimited swap' },
    'pids-limit': { kind: 'int', help: 'Most processes it may have; -1 for any number' },
    restart: { kind: 'string', help: 'Restart policy: no, always, unless-stopped, on-failure[:MAX]' },
  },
  args: { min: 1 },
  details:
    'Limits change at once, running or not, and hold for later starts. A rate or weight of 0 lifts the limit of that disk.',
  examples: [
    ['update -m 512m --restart always web', 'raise the limit and keep it running'],
    ['update --device-write-bps /dev/sda:10m web', 'write at most 10 MiB a second'],
  ],
  run: async (context, { flags, args, given }) => {
    if (given.size === 0) throw new CliError('nothing to change: give at least one flag', 1);
    const size = (name: 'memory' | 'memory-reservation' | 'memory-swap') => {
      const text = flags[name];
      return text === undefined ? undefined : text === '-1' ? -1 : parseSize(text, `--${name}`);
    };
    const change = defined({
      BlkioWeight: flags['blkio-weight'],
      ...deviceLimits(flags),
      CpuShares: flags['cpu-shares'],
      NanoCpus: flags.cpus === undefined ? undefined : Math.round(flags.cpus * 1e9),
      CpusetCpus: flags['cpuset-cpus'],
      CpusetMems: flags['cpuset-mems'],
      Memory: size('memory'),
      MemoryReservation: size('memory-reservation'),
      MemorySwap: size('memory-swap'),
      PidsLimit: flags['pids-limit'],
      RestartPolicy: flags.restart === undefined ? undefined : parseRestart(flags.restart),
    });
    const { containers } = await context.client();
    return eachTarget(context, args, async (name) => {
      const { Warnings } = await containers.update(name, change);
      for (const warning of Warnings ?? []) await context.err.line(`WARNING: ${warning}`);
      return name;
    });
  },
});

type Change = ResourcesRequest & { RestartPolicy?: RestartPolicyRequest };

function defined(fields: { [K in keyof Change]: Change[K] | undefined }): Change {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined));
}
