// Where a command writes. Writing is synchronous as long as the descriptor allows it, so nothing is lost at exit and
// nothing is loaded for it.

import { writeSync } from 'node:fs';
import { PipeClosed } from './errors.ts';

export interface Output {
  /** Rejects with PipeClosed when the reader is gone. */
  write(data: string | Uint8Array): Promise<void>;
  /** The text and a line feed. */
  line(text: string): Promise<void>;
  readonly isTerminal: boolean;
  /** Width of the terminal, 0 if it is none. */
  readonly columns: number;
  /** Its height, 0 if it is none. */
  readonly rows: number;
}

/** An Output over a file descriptor, 1 or 2. */
export function openOutput(fd: 1 | 2): Output {
  let terminal: boolean | undefined;
  const write = async (data: string | Uint8Array) => {
    const bytes = typeof data === 'string' ? Buffer.from(data) : data;
    const written = writeWhatFits(fd, bytes);
    if (written < bytes.length) await writeLater(fd, bytes.subarray(written));
  };
  return {
    write,
    line: (text) => write(`${text}\n`),
    get isTerminal() {
      // Loading node:tty costs milliseconds that most commands can do without.
      terminal ??= process.getBuiltinModule('node:tty').isatty(fd);
      return terminal;
    },
    get columns() {
      return (fd === 1 ? process.stdout : process.stderr).columns ?? 0;
    },
    get rows() {
      return (fd === 1 ? process.stdout : process.stderr).rows ?? 0;
    },
  };
}

function writeWhatFits(fd: number, bytes: Uint8Array): number {
  let done = 0;
  try {
    while (done < bytes.length) done += writeSync(fd, bytes, done);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'EPIPE') throw new PipeClosed();
    if (code !== 'EAGAIN') throw error;
  }
  return done;
}

/** For a descriptor that someone made non-blocking. */
function writeLater(fd: 1 | 2, bytes: Uint8Array): Promise<void> {
  const stream = fd === 1 ? process.stdout : process.stderr;
  return new Promise((resolve, reject) => {
    // The callback tells the failure; the event is for nobody, and without a listener it would end the process.
    if (stream.listenerCount('error') === 0) stream.on('error', () => {});
    stream.write(bytes, (error) => {
      if (error === undefined || error === null) resolve();
      else reject((error as NodeJS.ErrnoException).code === 'EPIPE' ? new PipeClosed() : error);
    });
  });
}
