// `berth run`: create and run a new workload from an image.

import type { BerthClient } from '../../sdk/client.ts';
import type { WaitAnswer } from '../../sdk/types.ts';
import { type Call, type Context, defineCommand } from '../command.ts';
import { CliError } from '../errors.ts';
import { openSession, type Session } from '../terminal/session.ts';
import { catchSignals } from '../terminal/signals.ts';
import { WORKLOAD_FLAGS } from '../workload/flags.ts';
import { createWorkload } from '../workload/launch.ts';
import { attachedStreams, createRequest } from '../workload/request.ts';

const FLAGS = {
  ...WORKLOAD_FLAGS,
  detach: { kind: 'bool', short: 'd', help: 'Run in the background and print the id' },
  'detach-keys': { kind: 'string', help: 'Keys that detach from the workload (default ctrl-p,ctrl-q)' },
  'sig-proxy': { kind: 'bool', default: true, help: 'Pass signals on to the workload (default true)' },
} as const;

type RunCall = Call<typeof FLAGS>;

export const command = defineCommand({
  usage: '[OPTIONS] IMAGE [COMMAND] [ARG...]',
  summary: 'Create and run a new workload from an image',
  details:
    'The exit code is the workload’s own; 125 when Berth could not run it, 126 or 127 when its command could not\n' +
    'be executed, 128+n when signal n ended it.',
  flags: FLAGS,
  args: { min: 1 },
  interspersed: false,
  errorCode: 125,
  examples: [
    ['run --rm busybox echo hello', 'run a command in a container and remove it at its end'],
    ['run --rm --isolation vm busybox uname -r', 'the same in a virtual machine with its own kernel'],
    ['run -it --rm debian bash', 'an interactive shell'],
    ['run -d --name web -m 256m --restart unless-stopped nginx', 'a service in the background'],
  ],
  run: async (context, call) => {
    const [image = '', ...command] = call.args;
    const { flags } = call;
    const request = createRequest({ flags, image, command, detach: flags.detach, env: context.env });
    await requireTerminal(call);
    const client = await context.client();
    if (flags.detach) {
      const id = await createWorkload(context, client, request, flags);
      await client.containers.start(id);
      await context.out.line(id);
      return 0;
    }
    if (flags.tty) await addConsoleSize(request);
    const id = await createWorkload(context, client, request, flags);
    return runAttached(context, client, id, call);
  },
});

async function requireTerminal({ flags }: RunCall): Promise<void> {
  if (!flags.tty || !flags.interactive || flags.detach) return;
  const { isatty } = await import('node:tty');
  if (!isatty(0)) throw new CliError('the input device is not a TTY', 125);
}

async function addConsoleSize(request: ReturnType<typeof createRequest>): Promise<void> {
  const { terminalSize } = await import('../terminal/raw.ts');
  const size = terminalSize();
  if (size !== undefined)
    request.HostConfig = { ...request.HostConfig, ConsoleSize: [size.rows, size.columns] };
}

/** Attach and wait are armed side by side before the start, so that neither output nor the exit can be missed. */
async function runAttached(
  context: Context,
  client: BerthClient,
  id: string,
  call: RunCall,
): Promise<number> {
  const { flags } = call;
  using signals = flags['sig-proxy'] ? catchSignals() : undefined;
  try {
    const [session, { exit }] = await Promise.all([
      join(context, client, id, call),
      client.containers.wait(id, flags.rm ? 'removed' : 'next-exit'),
    ]);
    await client.containers.start(id);
    signals?.open((signal) => client.containers.kill(id, signal));
    void session?.fit();
    return await finish(session, exit);
  } catch (error) {
    // Only a start that failed leaves something to remove; in all other cases the daemon sees to it.
    if (flags.rm) await client.containers.remove(id, { volumes: true }).catch(() => {});
    throw error;
  }
}

async function join(
  context: Context,
  client: BerthClient,
  id: string,
  { flags }: RunCall,
): Promise<Session | undefined> {
  const streams = attachedStreams(flags, false);
  const keys = flags['detach-keys'];
  const stream = await client.containers.attach(id, {
    ...streams,
    ...(keys === undefined ? {} : { detachKeys: keys }),
  });
  return openSession({
    stream,
    tty: flags.tty,
    stdin: streams.stdin,
    out: context.out,
    err: context.err,
    rawOutput: context.rawOutput,
    detachKeys: keys,
    resize: (size) => client.containers.resize(id, size),
  });
}

async function finish(session: Session | undefined, exit: Promise<WaitAnswer>): Promise<number> {
  const end = await session?.end;
  if (end === 'detached') return 0;
  const answer = await exit;
  const message = answer.Error?.Message;
  if (message) throw new CliError(`berth: ${message}`, answer.StatusCode === 0 ? 125 : answer.StatusCode);
  return answer.StatusCode;
}
