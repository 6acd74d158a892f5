// Joining the terminal to the main process of an existing workload: `attach`, and `start -a`.

import type { BerthClient } from '../../sdk/client.ts';
import type { Context } from '../command.ts';
import { openSession } from './session.ts';
import { catchSignals } from './signals.ts';

export interface JoinOptions {
  readonly stdin: boolean;
  readonly detachKeys: string | undefined;
  /** Whether signals to us go to the workload. */
  readonly signals: boolean;
  /** Start it once we are connected. */
  readonly start: boolean;
}

/** Stays until the workload ends, or the user detaches; resolves with the exit code. */
export async function joinWorkload(
  context: Context,
  client: BerthClient,
  name: string,
  options: JoinOptions,
): Promise<number> {
  const { Config, HostConfig } = await client.containers.inspect(name);
  using signals = options.signals ? catchSignals() : undefined;
  const stdin = options.stdin && Config.OpenStdin;
  const keys = options.detachKeys;
  const [stream, { exit }] = await Promise.all([
    client.containers.attach(name, {
      stdin,
      stdout: true,
      stderr: true,
      ...(keys === undefined ? {} : { detachKeys: keys }),
    }),
    client.containers.wait(name, HostConfig.AutoRemove ? 'removed' : 'next-exit'),
  ]);
  const session = await openSession({
    stream,
    tty: Config.Tty,
    stdin,
    out: context.out,
    err: context.err,
    rawOutput: context.rawOutput,
    detachKeys: keys,
    resize: (size) => client.containers.resize(name, size),
  });
  if (options.start) await client.containers.start(name);
  signals?.open((signal) => client.containers.kill(name, signal));
  void session.fit();
  return (await session.end) === 'detached' ? 0 : (await exit).StatusCode;
}
