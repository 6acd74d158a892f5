// The one error class of Berth. Codes are closed, so that every edge (HTTP status, CLI exit code,
// SDK class, agent reply) can own one exhaustive table from code to its own language.

export const ERROR_CODES = [
  'invalid-argument',
  'not-found',
  'already-exists',
  'conflict',
  'invalid-state',
  'unsupported',
  'permission-denied',
  'exhausted',
  'unavailable',
  'timeout',
  'cancelled',
  'internal',
] as const;

export type ErrorCode = (typeof ERROR_CODES)[number];

export interface BerthErrorOptions {
  readonly cause?: unknown;
  /** Exit status that a workload which failed to start shows (126 or 127 by shell convention). */
  readonly exitStatus?: number;
}

/** An error with a code for programs and a message that names the object and, where there is one, the remedy. */
export class BerthError extends Error {
  readonly code: ErrorCode;
  readonly exitStatus: number | undefined;

  constructor(code: ErrorCode, message: string, options: BerthErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = 'BerthError';
    this.code = code;
    this.exitStatus = options.exitStatus;
  }
}

/** Whether `error` is a BerthError, with this code if one is given. */
export function isBerthError(error: unknown, code?: ErrorCode): error is BerthError {
  return error instanceof BerthError && (code === undefined || error.code === code);
}

/** The message of anything that was thrown. */
export function errorMessage(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
