// How long the daemon waits for a supervisor. A supervisor that gives up waiting for its guest, QEMU or runtime says for
// whom it waited; so none of these is shorter than what it may take to say so (docs/guest-protocol.md, "Time").

const SECOND = 1000;
/** From a supervisor's limit to its answer, on a host that has much to do. */
const MARGIN_MS = 15 * SECOND;

/** Limits of the supervisor's own (shim/): limits.test.ts compares them. */
export const SHIM_MS = {
  /** A guest or QEMU to answer; a third of it to restore a machine or to shut one down, twice to boot one. */
  patience: 60 * SECOND,
  /** An OCI runtime to start a process. */
  runtime: 60 * SECOND,
  /** The kernel to let go of a killed QEMU. */
  kill: 10 * SECOND,
  /** Clients to take what they are still to be sent when it ends. */
  flush: 10 * SECOND,
} as const;

const { patience, kill, flush } = SHIM_MS;

/** An answer, a frame of a transfer, or room for one. */
export const ANSWER_LIMIT_MS = patience + MARGIN_MS;
/** An answer that may wait for a disk, or for memory to be given back: `write` at its end, `limit`. */
export const SLOW_ANSWER_LIMIT_MS = 2 * patience + MARGIN_MS;
/** A start: a fork that fails, the end of its machine, a boot in its place, and the main process. */
export const START_LIMIT_MS = patience / 3 + kill + 2 * patience + patience + MARGIN_MS;
/** A supervisor's own end: the guest shuts down, QEMU ends, clients are told. */
export const END_LIMIT_MS = patience / 3 + kill + flush + MARGIN_MS;
/** What it does without waiting for anyone. */
export const SIGNAL_LIMIT_MS = 5 * SECOND;
