// A stand-in for a record that is lost with its copy while its workload runs: it says as much as its folder does, so that the
// workload is shown and can be stopped and removed. What it was made from nobody knows, so that it cannot be started again.

import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { type InstanceSpec, type Isolation, PLAIN_SPEC, type WorkloadSpec } from '../core/index.ts';
import type { EngineContext } from './context.ts';
import { saveRecord, type WorkloadRecord } from './records.ts';

const UNKNOWN = 'unknown';

/** Writes it as the record of the folder, for later daemons too. `reason` tells why there is none. */
export async function standIn(
  ctx: EngineContext,
  id: string,
  isolation: Isolation,
  reason: string,
): Promise<WorkloadRecord> {
  const dir = join(ctx.workloadsDir, id);
  // A specification of the right form, in place of the unknown one; it is not in force.
  const spec: WorkloadSpec = { ...PLAIN_SPEC, image: UNKNOWN, isolation };
  const name = id.slice(0, 12);
  const record: WorkloadRecord = {
    version: 1,
    id,
    name,
    createdAt: (await stat(dir)).birthtime.toISOString(),
    imageId: UNKNOWN,
    spec,
    config: {
      entrypoint: [],
      command: [],
      env: [],
      workingDir: '/',
      user: '',
      labels: {},
      stopSignal: 'SIGTERM',
      exposedPorts: [],
      shell: ['/bin/sh', '-c'],
      volumes: [],
    },
    instance: unknownInstance(id, dir, `${ctx.workloadGroup.path}/${id}`, spec),
    mounts: [],
    anonymousVolumes: [],
    endpoints: [],
    published: [],
    manuallyStopped: true,
    restartCount: 0,
    error: '',
    lost: reason,
  };
  await saveRecord(record);
  return record;
}

/** An instance specification that suffices to find a workload, and to end and remove it. */
function unknownInstance(id: string, dir: string, cgroupPath: string, spec: WorkloadSpec): InstanceSpec {
  const process = { args: [], env: [], cwd: '/', user: '', additionalGroups: [], tty: false, stdin: false };
  return {
    id,
    dir,
    rootfs: { imageId: UNKNOWN, layers: [] },
    process: { ...process, privileged: false },
    hostname: id.slice(0, 12),
    domainname: '',
    extraHosts: [],
    dns: [],
    network: 'private',
    mounts: [],
    ipc: spec.ipc,
    pidMode: spec.pidMode,
    devices: [],
    sysctls: {},
    resources: spec.resources,
    security: spec.security,
    readonlyRoot: false,
    init: false,
    log: spec.log,
    annotations: {},
    cgroupPath,
  };
}
