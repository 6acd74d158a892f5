// The command line. Owns: parsing of arguments, texts, tables, the terminal.
// Never: speaks to the daemon but through the SDK, starts programs but through Platform.
// Invariant: only the code of the command that was called is loaded, and its exit code is Docker's for the same event.

import { BerthSdkError } from '../sdk/errors.ts';
import type { Command, Context } from './command.ts';
import { CliError, errorText, UsageError } from './errors.ts';
import { openOutput } from './output.ts';
import type { Platform } from './platform.ts';
import { commandNames, type Entry, resolve } from './registry.ts';
import { VERSION } from './version.ts';

/** Runs one command line; resolves with the exit code. Never rejects. */
export async function main(platform: Platform): Promise<number> {
  const out = openOutput(1);
  const err = openOutput(2);
  const host = { value: platform.env['BERTH_HOST'] };
  try {
    const argv = takeGlobalFlags(platform.argv, host);
    if (argv[0] === '--version' || argv[0] === '-v') {
      await out.line(`Berth version ${VERSION}`);
      return 0;
    }
    const found = resolve(argv);
    if (found.kind === 'command') {
      return await runCommand(found.path, found.entry, found.argv, { platform, out, err, host: host.value });
    }
    const { overview } = await import('./overview.ts');
    const { text, exitCode } = overview(found);
    await (exitCode === 0 ? out : err).write(text);
    return exitCode;
  } catch (error) {
    return report(error, err, 'berth', 1).catch(() => 1);
  }
}

/** `-H`/`--host` before the command, as Docker's client takes it. */
function takeGlobalFlags(argv: readonly string[], host: { value: string | undefined }): readonly string[] {
  const match = /^(?:-H|--host)(?:=(.*))?$/.exec(argv[0] ?? '');
  if (match === null) return argv;
  host.value = match[1] ?? argv[1];
  if (host.value === undefined) throw new UsageError('flag needs an argument: --host');
  return argv.slice(match[1] === undefined ? 2 : 1);
}

interface Session {
  readonly platform: Platform;
  readonly out: Context['out'];
  readonly err: Context['err'];
  readonly host: string | undefined;
}

async function runCommand(
  path: string,
  entry: Entry,
  argv: readonly string[],
  session: Session,
): Promise<number> {
  const [{ command }, { parseFlags }] = await Promise.all([entry.load(), import('./flags.ts')]);
  try {
    const parsed = parseFlags(command.flags, argv, { interspersed: command.interspersed !== false });
    if (parsed.help) {
      const [{ commandHelp }, { namesOf }] = await Promise.all([
        import('./help.ts'),
        import('./registry.ts'),
      ]);
      await session.out.write(commandHelp(path, command, namesOf(entry)));
      return 0;
    }
    checkArgs(path, command, parsed.args.length);
    return (await command.run(openContext(path, session), parsed)) ?? 0;
  } catch (error) {
    return report(error, session.err, path, command.errorCode ?? 1);
  }
}

function openContext(path: string, session: Session): Context {
  const { platform, out, err, host } = session;
  const config = { platform, host };
  return {
    env: platform.env,
    out,
    err,
    path,
    names: commandNames,
    client: async () => (await import('./connect.ts')).connectToDaemon(config),
    // Raw mode as Node and Bun set it still turns line feeds into carriage return and line feed.
    rawOutput: () => platform.setTerminal(['-opost']),
    mknod: (args) => platform.runQuietly('mknod', args),
    serve: async (args) => (await import('./daemon.ts')).serve(config, args),
  };
}

function checkArgs(path: string, command: Command, count: number): void {
  const { min, max } = command.args;
  if (count >= min && (max === undefined || count <= max)) return;
  const plural = (n: number) => `${n} argument${n === 1 ? '' : 's'}`;
  const wanted =
    max === 0
      ? 'accepts no arguments'
      : min === max
        ? `requires exactly ${plural(min)}`
        : count < min
          ? `requires at least ${plural(min)}`
          : `accepts at most ${plural(max ?? min)}`;
  throw new UsageError(`"${path}" ${wanted}.\n\nUsage:  ${path} ${command.usage}`, command.errorCode ?? 1);
}

async function report(error: unknown, err: Context['err'], path: string, code: number): Promise<number> {
  if (error instanceof UsageError) {
    await err.line(`${error.message}\n\nSee '${path} --help'.`);
    return error.exitCode;
  }
  const text = errorText(error);
  if (text !== '') await err.line(text);
  if (error instanceof CliError) return error.exitCode;
  return (error instanceof BerthSdkError ? error.exitStatus : undefined) ?? code;
}
