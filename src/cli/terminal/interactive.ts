// The part of a session that touches the terminal: raw mode, typed input, detach keys, size.

import { DEFAULT_DETACH_KEYS, DetachFilter, parseDetachKeys } from './detach.ts';
import { enterRawMode, onResize, terminalSize } from './raw.ts';
import type { Session, SessionEnd, SessionOptions } from './session.ts';

/** Adds input and size to a session whose output is flowing already. */
export async function joinTerminal(options: SessionOptions, output: Promise<SessionEnd>): Promise<Session> {
  const stack = new DisposableStack();
  // A size is only worth telling: a process that just ended has no use for it.
  const tell = async () => {
    const size = terminalSize();
    if (size !== undefined) await options.resize(size).catch(() => {});
  };
  if (options.tty) stack.use(onResize((size) => void options.resize(size).catch(() => {})));
  if (options.tty && options.stdin && process.stdin.isTTY) {
    stack.use(enterRawMode());
    await options.rawOutput();
  }
  const ends: Promise<SessionEnd>[] = [output];
  if (options.stdin) ends.push(pumpInput(options));
  const end = Promise.race(ends).finally(() => {
    stack.dispose();
    process.stdin.pause();
  });
  // Whoever waits sees the failure; a caller that has failed already must not be met by a second one.
  end.catch(() => {});
  return { end, fit: options.tty ? tell : async () => {} };
}

/** Resolves only when the user detached; end of file is passed on. */
function pumpInput({ stream, tty, detachKeys }: SessionOptions): Promise<SessionEnd> {
  const { stdin } = process;
  const filter =
    tty && stdin.isTTY ? new DetachFilter(parseDetachKeys(detachKeys ?? DEFAULT_DETACH_KEYS)) : undefined;
  return new Promise((resolve) => {
    const pass = async (chunk: Buffer, detached: boolean) => {
      stdin.pause();
      // A process that ended does not read; its output tells the end.
      if (chunk.length > 0) await stream.write(chunk).catch(() => {});
      if (!detached) return void stdin.resume();
      stream.close();
      resolve('detached');
    };
    stdin.on('data', (chunk: Buffer) => {
      const found = filter?.push(chunk);
      void pass(found?.pass ?? chunk, found?.detached ?? false);
    });
    stdin.on('end', () => stream.end());
    stdin.on('error', () => stream.end());
    stdin.resume();
  });
}
