// New names and limits for a workload that exists.

import { BerthError, errorMessage, type ResourceSpec, type RestartPolicy } from '../core/index.ts';
import { cgroupHost } from '../host/index.ts';
import type { WorkloadUpdate } from './api.ts';
import type { EngineContext } from './context.ts';
import { conflict } from './lifecycle.ts';
import { memberOf } from './networks/membership.ts';
import type { WorkloadRecord } from './records.ts';
import { cancelRestart } from './removal.ts';
import {
  changeResources,
  checkResources,
  checkRestart,
  limitWarnings,
  parseName,
  resolveResources,
} from './resolve/index.ts';
import type { Workload } from './workload.ts';

export async function renameWorkload(ctx: EngineContext, workload: Workload, wanted: string): Promise<void> {
  if (wanted === '') throw new BerthError('invalid-argument', 'Neither old nor new names may be empty');
  const name = parseName(wanted);
  await workload.lock.run(() => rename(ctx, workload, name));
}

async function rename(ctx: EngineContext, workload: Workload, name: string): Promise<void> {
  const oldName = workload.name;
  if (name === oldName)
    throw new BerthError('invalid-argument', 'Renaming a container with the same name as its current name');
  if (workload.removing)
    throw conflict(`container ${workload.id} is marked for removal and cannot be renamed`);
  ctx.registry.reserveName(name, workload.id);
  try {
    await workload.update({ name });
  } catch (error) {
    ctx.registry.releaseName(name, workload.id);
    // The old name is what the file still says.
    void workload.update({ name: oldName }).catch(() => {});
    throw error;
  }
  ctx.registry.releaseName(oldName, workload.id);
  ctx.networking.renamed(memberOf(workload));
  ctx.events.publish(workload.event('rename', { oldName: `/${oldName}` }));
}

/** Limits change at once, running or not; the restart policy counts from the next end on. */
export async function updateWorkload(
  ctx: EngineContext,
  workload: Workload,
  change: WorkloadUpdate,
): Promise<{ readonly warnings: readonly string[] }> {
  return await workload.lock.run(async () => {
    if (workload.removing)
      throw conflict(
        `Cannot update container ${workload.id}: Container is marked for removal and cannot be "update".`,
      );
    const { spec } = workload.record;
    const resources = changeResources(spec.resources, change.resources);
    const effective = resolveResources(resources);
    checkResources(effective);
    const restart = change.restart ?? spec.restart;
    if (spec.autoRemove && restart.name !== 'no')
      throw conflict('Restart policy cannot be updated because AutoRemove is enabled for the container');
    checkRestart(restart, spec.autoRemove);
    if (Object.keys(change.resources).length > 0) await changeLimits(workload, resources, restart);
    else await workload.update({ spec: { ...workload.record.spec, restart } });
    if (restart.name === 'no') cancelRestart(workload);
    ctx.events.publish(workload.event('update'));
    return { warnings: limitWarnings(spec.isolation, change.resources, cgroupHost().version) };
  });
}

/** Noted before it is begun, so that a daemon that finds it half done can finish it. On failure all is as it was. */
async function changeLimits(
  workload: Workload,
  resources: ResourceSpec,
  restart: RestartPolicy,
): Promise<void> {
  const { spec: formerly, instance } = workload.record;
  const effective = resolveResources(resources);
  try {
    if (workload.running) await workload.update({ changing: resources });
    await applyResources(workload, effective);
  } catch (error) {
    await settled(workload, {}).catch(() => {});
    throw error;
  }
  try {
    await settled(workload, {
      spec: { ...workload.record.spec, resources, restart },
      instance: { ...workload.record.instance, resources: effective },
    });
  } catch (error) {
    await workload.instance?.update?.(instance.resources).catch(() => {});
    // What is in effect is to be what the file says, and does as long as it cannot be written.
    void settled(workload, {
      spec: { ...workload.record.spec, resources: formerly.resources, restart: formerly.restart },
      instance: { ...workload.record.instance, resources: instance.resources },
    }).catch(() => {});
    throw error;
  }
}

/** Others may have changed other parts of the record meanwhile. */
function settled(workload: Workload, change: Partial<WorkloadRecord>): Promise<void> {
  const { changing: _, ...record } = workload.record;
  return workload.replace({ ...record, ...change });
}

/** Finishes the change of limits that an earlier daemon died in. */
export async function settleLimits(ctx: EngineContext, workload: Workload): Promise<void> {
  await workload.lock.run(async () => {
    const { changing, spec } = workload.record;
    if (changing === undefined || workload.removing) return;
    try {
      await changeLimits(workload, changing, spec.restart);
    } catch (error) {
      ctx.log(`container ${workload.name} keeps its limits: ${errorMessage(error)}`);
    }
  });
}

async function applyResources(workload: Workload, resources: ResourceSpec): Promise<void> {
  const instance = workload.requireInstance();
  if (instance.update !== undefined) return await instance.update(resources);
  throw new BerthError(
    'unsupported',
    `Cannot update container ${workload.id}: isolation ${workload.record.spec.isolation} cannot change its limits`,
  );
}
