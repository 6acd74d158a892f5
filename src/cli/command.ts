// What a command is. One file per command exports `command`, made by `defineCommand`; the registry loads it lazily.

import type { BerthClient } from '../sdk/client.ts';
import type { FlagSpecs, FlagValues } from './flags.ts';
import type { Output } from './output.ts';

export interface CommandNames {
  readonly commands: readonly string[];
  readonly groups: Readonly<Record<string, readonly string[]>>;
}

/** What a command has to work with. */
export interface Context {
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly out: Output;
  readonly err: Output;
  /** The name it was called by, e.g. "berth container run". */
  readonly path: string;
  /** All commands there are. */
  names(): CommandNames;
  /** A client of the daemon, which is started when it does not run. */
  client(): Promise<BerthClient>;
  /** Stops the terminal from changing what is written to it, for programs that control the whole screen. */
  rawOutput(): Promise<void>;
  /** Runs mknod(1); rejects with what it said when it fails. */
  mknod(args: readonly string[]): Promise<void>;
  /** Runs the daemon in the foreground in place of this process; resolves with its exit code. */
  serve(args: readonly string[]): Promise<number>;
}

export interface Call<F extends FlagSpecs> {
  readonly flags: FlagValues<F>;
  readonly args: readonly string[];
  /** Names of the flags that were given. */
  readonly given: ReadonlySet<string>;
}

export interface CommandOf<F extends FlagSpecs> {
  /** What follows the command's name, e.g. "[OPTIONS] IMAGE [COMMAND] [ARG...]". */
  readonly usage: string;
  readonly summary: string;
  /** Further paragraphs for the help. */
  readonly details?: string;
  readonly flags: F;
  /** Numbers of positional arguments; absent `max`: any. */
  readonly args: { readonly min: number; readonly max?: number };
  /** False: flags stop at the first positional argument. */
  readonly interspersed?: boolean;
  /** Exit code of an error that has none of its own: 125 for `run`, else 1. */
  readonly errorCode?: number;
  /** Pairs of a command line (without "berth ") and what it does. */
  readonly examples: readonly (readonly [string, string])[];
  /** Resolves with the exit code; nothing means 0. */
  run(context: Context, call: Call<F>): Promise<number | undefined>;
}

export type Command = CommandOf<FlagSpecs>;

/** Gives `run` the types of its flags. */
export function defineCommand<const F extends FlagSpecs>(command: CommandOf<F>): Command {
  // The parser fills exactly the flags declared, so the erased type is safe.
  return command as unknown as Command;
}
