// The one table from error code to HTTP status, and the body of a refusal: {"message": …}.

import { BerthError, type ErrorCode, errorMessage } from '../../core/index.ts';
import { FieldError } from '../../wire/index.ts';

export const STATUS_OF: Readonly<Record<ErrorCode, number>> = {
  'invalid-argument': 400,
  'permission-denied': 403,
  'not-found': 404,
  'already-exists': 409,
  conflict: 409,
  'invalid-state': 409,
  cancelled: 499,
  internal: 500,
  unsupported: 501,
  unavailable: 503,
  timeout: 504,
  exhausted: 507,
};

/** An error that has an HTTP status of its own, beside the codes. */
export class HttpError extends Error {
  readonly status: number;

  constructor(status: number, message: string) {
    super(message);
    this.name = 'HttpError';
    this.status = status;
  }
}

export interface Refusal {
  readonly status: number;
  readonly body: { readonly message: string; readonly exitStatus?: number };
}

export function toRefusal(error: unknown): Refusal {
  const message = errorMessage(error) || 'the request failed without a message';
  if (error instanceof HttpError) return { status: error.status, body: { message } };
  if (error instanceof FieldError) return { status: 400, body: { message } };
  if (!(error instanceof BerthError)) return { status: 500, body: { message } };
  // A command that cannot be executed is the client's mistake, whatever layer found out.
  if (error.exitStatus !== undefined)
    return {
      status: 400,
      body: { message: inShellWords(message, error.exitStatus), exitStatus: error.exitStatus },
    };
  return { status: STATUS_OF[error.code], body: { message } };
}

/** Docker's clients read the exit status off the words that a runtime would use: see to it that they are there. */
function inShellWords(message: string, exitStatus: number): string {
  if (exitStatus === 127 && !/executable file not found|no such file or directory/.test(message))
    return `${message}: executable file not found`;
  if (exitStatus === 126 && !/permission denied/.test(message)) return `${message}: permission denied`;
  return message;
}
