// Where the workloads of a daemon live among the control groups of the host. systemd alone may change what is above:
// where it manages version 2, a unit without processes of its own is made, whose groups it leaves to us. It is not the
// daemon's own unit, whose main process could not be started again in a group that has others below it; so workloads go
// on while the daemon is replaced, and end when their own unit is stopped or the host is shut down.

import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { errorMessage } from '../core/index.ts';
import { addToCgroup, cgroupHost, cgroupPids, createCgroup, removeCgroup } from './cgroup.ts';
import { run } from './process.ts';

export interface WorkloadGroup {
  /** Below it all workloads of the daemon with this root live: two daemons never share one. */
  readonly path: string;
  /** Takes this process out of the group that it was started in: a job that starts the daemon must not end it. */
  enter(): Promise<void>;
  /** For when nothing is in it any more; left alone when something is. */
  remove(): Promise<void>;
}

const SYSTEMD = '/run/systemd/system';
const TIMEOUT_MS = 20_000;

/** `log` hears why a unit could not be had; the group is at the top of the hierarchies then. */
export async function openWorkloadGroup(root: string, log: (line: string) => void): Promise<WorkloadGroup> {
  const digest = createHash('sha256').update(root).digest('hex').slice(0, 8);
  const path = `/berth-${digest}`;
  if (cgroupHost().version === 2 && existsSync(SYSTEMD))
    try {
      return await openUnit(`berth-workloads-${digest}.service`, root);
    } catch (error) {
      log(`systemd gives workloads no unit, they live in ${path}: ${errorMessage(error)}`);
    }
  return groupAt(path);
}

async function openUnit(unit: string, root: string): Promise<WorkloadGroup> {
  const path = (await groupOf(unit)) ?? (await startUnit(unit, root));
  const group = groupAt(path);
  return {
    ...group,
    remove: async () => {
      await group.leave();
      // Stopping the unit would end what is in it.
      if ((await cgroupPids(path)).length === 0)
        await run('systemctl', ['stop', unit], { timeoutMs: TIMEOUT_MS });
    },
  };
}

function groupAt(path: string): WorkloadGroup & { leave(): Promise<void> } {
  // Version 2: a group that has others below it may have no processes.
  const own = `${path}/daemon`;
  let entered = false;
  const leave = async () => {
    if (entered) await addToCgroup('/', process.pid);
    entered = false;
  };
  return {
    path,
    leave,
    enter: async () => {
      await createCgroup(own, 'everywhere');
      await addToCgroup(own, process.pid);
      entered = true;
    },
    remove: async () => {
      await leave();
      await removeCgroup(path);
    },
  };
}

async function groupOf(unit: string): Promise<string | undefined> {
  const { stdout } = await run('systemctl', ['show', '--property=ActiveState,ControlGroup', unit], {
    timeoutMs: TIMEOUT_MS,
  });
  return /^ActiveState=active$/m.test(stdout) ? /^ControlGroup=(\/.+)$/m.exec(stdout)?.[1] : undefined;
}

async function startUnit(unit: string, root: string): Promise<string> {
  const properties = [
    'Type=oneshot',
    'RemainAfterExit=yes',
    'Delegate=yes',
    'TasksMax=infinity',
    // A workload that dies for want of memory is no reason to end all others.
    'OOMPolicy=continue',
    // When the host is shut down, the daemon ends first: it would start workloads again.
    'Before=berth.service',
  ].flatMap((property) => ['--property', property]);
  const description = `Workloads of Berth in ${root}`;
  const options = ['--quiet', '--collect', '--unit', unit, '--description', description, ...properties];
  await run('systemd-run', [...options, 'true'], { timeoutMs: TIMEOUT_MS });
  const path = await groupOf(unit);
  if (path === undefined) throw new Error(`${unit} has no control group`);
  return path;
}
