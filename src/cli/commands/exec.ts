// `berth exec`: run a command in a running workload.

import type { BerthClient } from '../../sdk/client.ts';
import { BerthSdkError } from '../../sdk/errors.ts';
import { type Context, defineCommand } from '../command.ts';
import { CliError } from '../errors.ts';
import { terminalSize } from '../terminal/raw.ts';
import { openSession } from '../terminal/session.ts';
import { collectEnv } from '../workload/env.ts';

interface Started {
  readonly id: string;
  readonly tty: boolean;
  readonly stdin: boolean;
  readonly detachKeys: string | undefined;
}

export const command = defineCommand({
  usage: '[OPTIONS] WORKLOAD COMMAND [ARG...]',
  summary: 'Run a command in a running workload',
  flags: {
    detach: { kind: 'bool', short: 'd', help: 'Run in the background' },
    'detach-keys': { kind: 'string', help: 'Keys that detach (default ctrl-p,ctrl-q)' },
    env: { kind: 'list', short: 'e', help: 'Set an environment variable' },
    'env-file': { kind: 'list', help: 'Read environment variables from a file' },
    interactive: { kind: 'bool', short: 'i', help: 'Keep stdin open' },
    privileged: { kind: 'bool', help: 'Give the command all capabilities' },
    tty: { kind: 'bool', short: 't', help: 'Give it a terminal' },
    user: { kind: 'string', short: 'u', help: 'User: NAME|UID[:GROUP|GID]' },
    workdir: { kind: 'string', short: 'w', help: 'Working directory inside' },
  },
  args: { min: 2 },
  interspersed: false,
  examples: [
    ['exec -it web sh', 'a shell beside the main process'],
    ['exec -e DEBUG=1 -u nobody web env', 'as another user, with one more variable'],
  ],
  run: async (context, { flags, args }) => {
    const [name = '', ...command] = args;
    const { tty, interactive, detach } = flags;
    if (tty && interactive && !detach && !process.stdin.isTTY)
      throw new CliError('the input device is not a TTY', 1);
    const client = await context.client();
    const id = await client.execs.create(name, {
      Cmd: command,
      AttachStdin: interactive && !detach,
      AttachStdout: !detach,
      AttachStderr: !detach,
      Tty: tty,
      Env: collectEnv(flags['env-file'], flags.env, context.env),
      Privileged: flags.privileged,
      ...(flags.user === undefined ? {} : { User: flags.user }),
      ...(flags.workdir === undefined ? {} : { WorkingDir: flags.workdir }),
      ...(flags['detach-keys'] === undefined ? {} : { DetachKeys: flags['detach-keys'] }),
    });
    try {
      if (!detach)
        return await runExec(context, client, {
          id,
          tty,
          stdin: interactive,
          detachKeys: flags['detach-keys'],
        });
      await client.execs.startDetached(id);
      return 0;
    } catch (error) {
      throw executionError(error);
    }
  },
});

async function runExec(
  context: Context,
  client: BerthClient,
  { id, tty, stdin, detachKeys }: Started,
): Promise<number> {
  const size = tty ? terminalSize() : undefined;
  const stream = await client.execs.start(id, { tty, ...size });
  const session = await openSession({
    stream,
    tty,
    stdin,
    out: context.out,
    err: context.err,
    rawOutput: context.rawOutput,
    detachKeys,
    resize: (changed) => client.execs.resize(id, changed),
  });
  if ((await session.end) === 'detached') return 0;
  const { ExitCode } = await client.execs.inspect(id);
  return ExitCode ?? 0;
}

/** A command that could not be executed ends with the shell's codes for that, also where the daemon gave only words. */
function executionError(error: unknown): unknown {
  if (!(error instanceof BerthSdkError) || error.status === undefined || error.exitStatus !== undefined)
    return error;
  const text = `Error response from daemon: ${error.message}`;
  if (/not found|no such file/i.test(error.message) && error.status !== 404)
    return new CliError(text, 127, { cause: error });
  if (/permission denied|is a directory|exec format/i.test(error.message))
    return new CliError(text, 126, { cause: error });
  return error;
}
