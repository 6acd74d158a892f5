// The states of an instance, and which may follow which, as data.

export const STATES = ['created', 'running', 'paused', 'exited', 'unknown'] as const;

/**
 * `created`: prepared, never started. `running`, `paused`: its main process exists. `exited`: it ended and the exit
 * status is known. `unknown`: asked and could not tell; the reason is given beside it.
 */
export type State = (typeof STATES)[number];

export const transitions: Readonly<Record<State, readonly State[]>> = {
  created: ['running', 'exited', 'unknown'],
  running: ['paused', 'exited', 'unknown'],
  paused: ['running', 'exited', 'unknown'],
  exited: ['running', 'unknown'],
  unknown: ['created', 'running', 'paused', 'exited'],
};

/** Whether an instance may go from one state to another in one step. */
export function canFollow(from: State, to: State): boolean {
  return transitions[from].includes(to);
}

/** What an instance says of itself when asked. */
export interface InstanceStatus {
  readonly state: State;
  /** Why the state is `unknown`. */
  readonly reason?: string;
  /** Host process id of the workload's main process (container) or of the virtual machine monitor (VM). */
  readonly pid?: number;
  /** While it runs: whether the memory limit has made the kernel kill a process of it. */
  readonly oomKilled?: boolean;
  /** RFC 3339 with nanoseconds; present once started. */
  readonly startedAt?: string;
  /** Present in state `exited`. */
  readonly exit?: ExitStatus;
}

/** Why an instance ended when it was not simply its main process that ended. */
export const EXIT_REASONS = ['guest-panic', 'monitor-died', 'supervisor-died', 'start-failed'] as const;
export type ExitReason = (typeof EXIT_REASONS)[number];

export interface ExitStatus {
  /** 0-255; 128+n when signal n ended the process. */
  readonly code: number;
  /** Whether the memory limit made the kernel kill a process of the workload. */
  readonly oomKilled: boolean;
  readonly reason?: ExitReason;
  /** One sentence for people, e.g. the guest kernel's panic line. */
  readonly message?: string;
  /** RFC 3339. */
  readonly finishedAt: string;
}
