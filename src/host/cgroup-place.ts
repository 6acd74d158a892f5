// The place of a daemon's workloads among the control groups of the host. systemd alone changes its own groups: where it
// manages version 2, Berth asks it for a unit whose groups it leaves to Berth. The daemon's own unit will not do: its main
// process could not be started again in a group that has others below it. So workloads go on while the daemon is
// replaced, and end when their unit is stopped or the host is shut down.

import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { BerthError, errorMessage } from '../core/index.ts';
import { addToCgroup, cgroupHost, cgroupPids, createCgroup, removeCgroup } from './cgroup.ts';
import { run } from './process.ts';

export interface WorkloadGroup {
  /** Below it all workloads of the daemon with this root live: two daemons never share one. */
  readonly path: string;
  /** Takes this process out of the group that it was started in: a job that starts the daemon must not end it. */
  enter(): Promise<void>;
  /** Removes the place when it is empty, and leaves it when not. */
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

/** systemd takes the group of a unit away that has no process: this one has a process that waits. */
const HOLDER = ['sleep', 'infinity'];

async function openUnit(unit: string, root: string): Promise<WorkloadGroup> {
  const stop = () => run('systemctl', ['stop', unit], { timeoutMs: TIMEOUT_MS });
  const { path, mainPid } = (await findUnit(unit)) ?? (await startUnit(unit, root, stop));
  const group = groupAt(path);
  return {
    ...group,
    remove: async () => {
      await group.leave();
      // Stopping the unit would end what is in it.
      const others = (await cgroupPids(path)).filter((pid) => pid !== mainPid);
      if (others.length === 0) await stop();
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

interface Unit {
  readonly path: string;
  readonly mainPid: number;
}

async function findUnit(unit: string): Promise<Unit | undefined> {
  const { stdout } = await run('systemctl', ['show', '--property=ActiveState,ControlGroup,MainPID', unit], {
    timeoutMs: TIMEOUT_MS,
  });
  const path = /^ControlGroup=(\/.+)$/m.exec(stdout)?.[1];
  const mainPid = Number(/^MainPID=(\d+)$/m.exec(stdout)?.[1] ?? 0);
  return /^ActiveState=active$/m.test(stdout) && path !== undefined && mainPid > 0
    ? { path, mainPid }
    : undefined;
}

async function startUnit(unit: string, root: string, stop: () => Promise<unknown>): Promise<Unit> {
  const properties = [
    'Delegate=yes',
    'TasksMax=infinity',
    // The unit's main process is small and must stay; the end of a workload for want of memory must not end all others.
    'OOMScoreAdjust=-1000',
    'OOMPolicy=continue',
    // As long as a workload that is stopped has by default; many a process 1 hears no SIGTERM.
    'TimeoutStopSec=10',
    // When the host is shut down, the daemon ends first: it would start workloads again.
    'Before=berth.service',
  ].flatMap((property) => ['--property', property]);
  const options = ['--quiet', '--collect', '--unit', unit, '--description', `Workloads of Berth in ${root}`];
  await run('systemd-run', [...options, ...properties, ...HOLDER], { timeoutMs: TIMEOUT_MS });
  const started = await findUnit(unit);
  if (started === undefined) throw new BerthError('internal', `${unit} was started and is not active`);
  try {
    // The process moves before controllers are handed down: a group that has both makes those below it threaded.
    await mkdir(join(cgroupHost().unified ?? '', started.path, 'holder'), { recursive: true });
    await addToCgroup(`${started.path}/holder`, started.mainPid);
    return started;
  } catch (error) {
    await stop();
    throw error;
  }
}
