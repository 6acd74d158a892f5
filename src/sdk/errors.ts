// What goes wrong in a call of the SDK, and the one table from HTTP status to code.

/** Closed set of reasons; the same words the daemon uses. */
export type SdkErrorCode =
  | 'invalid-argument'
  | 'not-found'
  | 'conflict'
  | 'unsupported'
  | 'permission-denied'
  | 'exhausted'
  | 'unavailable'
  | 'timeout'
  | 'cancelled'
  | 'internal';

const CODE_OF_STATUS: Readonly<Record<number, SdkErrorCode>> = {
  400: 'invalid-argument',
  401: 'permission-denied',
  403: 'permission-denied',
  404: 'not-found',
  405: 'unsupported',
  408: 'timeout',
  409: 'conflict',
  413: 'exhausted',
  499: 'cancelled',
  500: 'internal',
  501: 'unsupported',
  502: 'unavailable',
  503: 'unavailable',
  504: 'timeout',
  507: 'exhausted',
};

/** The code for an HTTP status of 400 or more. */
export function codeOfStatus(status: number): SdkErrorCode {
  return CODE_OF_STATUS[status] ?? (status < 500 ? 'invalid-argument' : 'internal');
}

export interface SdkErrorDetails {
  /** HTTP status of the answer; absent when there was none. */
  readonly status?: number;
  /** 126 or 127 when a command could not be executed. */
  readonly exitStatus?: number;
  readonly cause?: unknown;
}

/** Every failure of the SDK. The message is the daemon's own where the daemon answered. */
export class BerthSdkError extends Error {
  readonly code: SdkErrorCode;
  readonly status: number | undefined;
  readonly exitStatus: number | undefined;

  constructor(code: SdkErrorCode, message: string, details: SdkErrorDetails = {}) {
    super(message, details.cause === undefined ? undefined : { cause: details.cause });
    this.name = 'BerthSdkError';
    this.code = code;
    this.status = details.status;
    this.exitStatus = details.exitStatus;
  }
}

/** The error an answer with a status of 400 or more stands for. `body` is its text. */
export function errorOfAnswer(status: number, body: string): BerthSdkError {
  const fields = parseErrorBody(body);
  const message = fields.message ?? (body.trim() || `the daemon answered with HTTP status ${status}`);
  return new BerthSdkError(codeOfStatus(status), message, {
    status,
    ...(fields.exitStatus === undefined ? {} : { exitStatus: fields.exitStatus }),
  });
}

function parseErrorBody(body: string): { message?: string; exitStatus?: number } {
  try {
    const value: unknown = JSON.parse(body);
    if (typeof value !== 'object' || value === null) return {};
    const { message, exitStatus } = value as { message?: unknown; exitStatus?: unknown };
    return {
      ...(typeof message === 'string' ? { message } : {}),
      ...(typeof exitStatus === 'number' ? { exitStatus } : {}),
    };
  } catch {
    return {};
  }
}
