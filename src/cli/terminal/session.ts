// Our standard files joined to a process of a workload.

import { outputChunks } from '../../sdk/body.ts';
import type { RawStream } from '../../sdk/call.ts';
import type { Output } from '../output.ts';
import type { Size } from './raw.ts';

export interface SessionOptions {
  readonly stream: RawStream;
  readonly tty: boolean;
  /** Whether our stdin goes to the process. */
  readonly stdin: boolean;
  readonly out: Output;
  readonly err: Output;
  readonly detachKeys?: string | undefined;
  readonly rawOutput: () => Promise<void>;
  /** Tells the daemon the size of our terminal. */
  resize(size: Size): Promise<void>;
}

export type SessionEnd = 'ended' | 'detached';

export interface Session {
  /** Resolves when the process's output ended or the user detached. Rejects when a stream broke. */
  readonly end: Promise<SessionEnd>;
  /** Sends the terminal's present size: to be called once the process runs. */
  fit(): Promise<void>;
}

/** Joins the streams at once. Output alone costs nothing of the terminal's machinery. */
export async function openSession(options: SessionOptions): Promise<Session> {
  const output = pumpOutput(options);
  if (!options.stdin && !options.tty) return { end: output, fit: async () => {} };
  const { joinTerminal } = await import('./interactive.ts');
  return joinTerminal(options, output);
}

async function pumpOutput({ stream, tty, out, err }: SessionOptions): Promise<SessionEnd> {
  for await (const { stream: name, data } of outputChunks(stream.output, tty)) {
    await (name === 'stdout' ? out : err).write(data);
  }
  return 'ended';
}
