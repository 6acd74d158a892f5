// What the command line needs of the process it runs in; `src/bin` supplies it, so that nothing here starts programs.

import { BerthSdkError } from '../sdk/errors.ts';

export interface DaemonStart {
  readonly file: string;
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  /** Descriptor of the log file, for both outputs. */
  readonly logFd: number;
}

export interface Platform {
  readonly argv: readonly string[];
  readonly env: Readonly<Record<string, string | undefined>>;
  /** The program itself: what it finds the daemon by. */
  readonly programPath: string;
  /** Starts a program that outlives us; resolves when it ended. */
  startDetached(start: DaemonStart): Promise<{ readonly exit: Promise<string> }>;
  /** Has stty change our terminal; does nothing where that is not possible. */
  setTerminal(settings: readonly string[]): Promise<void>;
  /** Runs a program without input or output; rejects with what it said when it fails. */
  runQuietly(file: string, args: readonly string[]): Promise<void>;
  /** Runs a program with our own standard files until it ends, passing signals on; resolves with its exit code. */
  runForeground(
    file: string,
    args: readonly string[],
    env: Readonly<Record<string, string>>,
  ): Promise<number>;
}

export interface ConnectConfig {
  readonly platform: Platform;
  /** Absent: the default socket. */
  readonly host: string | undefined;
}

/** The errno name behind a failed connection. */
export function systemCode(error: unknown): string | undefined {
  if (!(error instanceof BerthSdkError)) return undefined;
  return (error.cause as NodeJS.ErrnoException | undefined)?.code;
}
