// Whether and when an ended workload runs again. Pure; the figures are Docker's.

import type { RestartPolicy } from '../core/index.ts';

const FIRST_DELAY_MS = 100;
const MAX_DELAY_MS = 60_000;
/** A run at least this long counts as a success: the delay starts anew. */
const STABLE_MS = 10_000;

export interface Ending {
  readonly exitCode: number;
  readonly manuallyStopped: boolean;
  readonly restartCount: number;
}

export function shouldRestart(policy: RestartPolicy, ending: Ending): boolean {
  if (ending.manuallyStopped) return false;
  return wantsRun(policy, ending);
}

/** At the start of the daemon, `always` forgets that the user stopped it. */
export function shouldResume(policy: RestartPolicy, ending: Ending): boolean {
  if (ending.manuallyStopped && policy.name !== 'always') return false;
  return wantsRun(policy, ending);
}

function wantsRun(policy: RestartPolicy, ending: Ending): boolean {
  switch (policy.name) {
    case 'no':
      return false;
    case 'always':
    case 'unless-stopped':
      return true;
    case 'on-failure': {
      const limit = policy.maximumRetryCount;
      return ending.exitCode !== 0 && (limit === 0 || ending.restartCount < limit);
    }
  }
}

/** The delay before the next start, from the last one (0: none yet) and how long the workload ran. */
export function nextDelayMs(lastDelayMs: number, ranMs: number): number {
  if (lastDelayMs === 0 || ranMs >= STABLE_MS) return FIRST_DELAY_MS;
  return Math.min(lastDelayMs * 2, MAX_DELAY_MS);
}
