// Requests about one more process in a running workload.

import { Fields, given } from './fields.ts';

export interface ExecCreateRequest {
  readonly Cmd: readonly string[];
  readonly Env: readonly string[];
  readonly WorkingDir?: string;
  readonly User?: string;
  readonly Tty: boolean;
  readonly Privileged: boolean;
  readonly AttachStdin: boolean;
  readonly AttachStdout: boolean;
  readonly AttachStderr: boolean;
  readonly DetachKeys: string;
}

export function readExecCreate(body: unknown): ExecCreateRequest {
  const fields = new Fields(body);
  return {
    Cmd: fields.words('Cmd') ?? [],
    Env: fields.strings('Env') ?? [],
    ...given('WorkingDir', fields.string('WorkingDir') || undefined),
    ...given('User', fields.string('User') || undefined),
    Tty: fields.boolean('Tty') ?? false,
    Privileged: fields.boolean('Privileged') ?? false,
    AttachStdin: fields.boolean('AttachStdin') ?? false,
    AttachStdout: fields.boolean('AttachStdout') ?? false,
    AttachStderr: fields.boolean('AttachStderr') ?? false,
    DetachKeys: fields.string('DetachKeys') ?? '',
  };
}

export interface ExecStartRequest {
  readonly Detach: boolean;
  readonly Tty: boolean;
  readonly ConsoleSize?: ConsoleSize;
}

export function readExecStart(body: unknown): ExecStartRequest {
  const fields = new Fields(body);
  return {
    Detach: fields.boolean('Detach') ?? false,
    Tty: fields.boolean('Tty') ?? false,
    ...given('ConsoleSize', readConsoleSize(fields)),
  };
}

export interface ConsoleSize {
  readonly rows: number;
  readonly columns: number;
}

/** Undefined for none, and for Docker's [0, 0]. */
export function readConsoleSize(fields: Fields): ConsoleSize | undefined {
  const value = fields.raw('ConsoleSize');
  if (!Array.isArray(value)) return undefined;
  const [rows, columns]: unknown[] = value;
  return isLength(rows) && isLength(columns) ? { rows, columns } : undefined;
}

/** Whether a value is positive and fits into a field of struct winsize. */
function isLength(value: unknown): value is number {
  return typeof value === 'number' && Number.isInteger(value) && value > 0 && value <= 0xffff;
}
