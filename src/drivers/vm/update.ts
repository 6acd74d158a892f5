// New limits for a machine that runs: the host's, the guest's and QEMU's, all or none.

import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { InstanceSpec } from '../../core/index.ts';
import { decodeFields } from '../../formats/frames.ts';
import { field, type ShimClient, SLOW_ANSWER_LIMIT_MS } from '../../guest/index.ts';
import { liftedDevices, limitCgroup } from '../../host/index.ts';
import { cpuCount, hostGroup, memoryBytes, wholeMiB } from './config.ts';
import { checkGrowth, diskLimits, guestLimits, hostLimits, type MachineSize } from './limits.ts';

/** What the machine that runs was started with; later limits may be lower. */
async function runningSize(dir: string): Promise<MachineSize> {
  const fields = decodeFields(await readFile(join(dir, 'vm.machine')));
  return JSON.parse(field(fields, 'shape') ?? '') as MachineSize;
}

/** On failure all is as it was. A paused guest cannot be asked: `conflict`. */
export async function changeLimits(client: ShimClient, from: InstanceSpec, to: InstanceSpec): Promise<void> {
  const size = await runningSize(from.dir);
  checkGrowth(from.id, size, { memoryBytes: wholeMiB(memoryBytes(to)), cpus: cpuCount(to) });
  const lifted = liftedDevices(from.resources, to.resources);
  await using undo = new AsyncDisposableStack();
  const restoreHost = await limitCgroup(
    from.cgroupPath,
    hostLimits({ ...to.resources, ...lifted }, hostGroup(to, size.memoryBytes)),
  );
  undo.defer(restoreHost);
  const patience = { limitMs: SLOW_ANSWER_LIMIT_MS };
  const limit = async ({ resources }: InstanceSpec) =>
    void (await client.ask('limit', guestLimits(resources), patience));
  undo.defer(() => limit(from).catch(() => {}));
  await limit(to);
  await client.ask('throttle', diskLimits(to.resources));
  undo.move();
}
