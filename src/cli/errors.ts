// What the command line tells a user when something fails, and the exit code it ends with.

import { visibleLines } from '../formats/visible.ts';
import { BerthSdkError } from '../sdk/errors.ts';

/** Ends the command with a message (without "berth: ") and an exit code. */
export class CliError extends Error {
  readonly exitCode: number;

  constructor(message: string, exitCode = 1, options: { readonly cause?: unknown } = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = 'CliError';
    this.exitCode = exitCode;
  }
}

/** The command was typed wrongly; the message is followed by where to read about it. */
export class UsageError extends CliError {
  constructor(message: string, exitCode = 125) {
    super(message, exitCode);
    this.name = 'UsageError';
  }
}

/** The reader of our output is gone: end without a word, as a program killed by SIGPIPE would. */
export class PipeClosed extends CliError {
  constructor() {
    super('', 141);
    this.name = 'PipeClosed';
  }
}

/** The text to print for anything thrown. Control characters are shown: messages may quote a workload or an archive. */
export function errorText(error: unknown): string {
  return visibleLines(textOf(error));
}

function textOf(error: unknown): string {
  if (error instanceof CliError) return error.message;
  if (error instanceof BerthSdkError && error.status !== undefined) {
    return `Error response from daemon: ${error.message}`;
  }
  return `berth: ${error instanceof Error ? error.message : String(error)}`;
}
