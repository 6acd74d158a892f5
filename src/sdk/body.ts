// Bodies of answers as values: JSON documents in a row, and Docker's multiplexed output.

import { FRAME, FrameDecoder } from '../formats/frames.ts';
import { BerthSdkError } from './errors.ts';

/** Documents of a stream, one a line or simply one after the other with line breaks between. */
export async function* jsonLines<T>(body: AsyncIterable<Buffer>): AsyncGenerator<T, void> {
  const decoder = new TextDecoder();
  let rest = '';
  for await (const chunk of body) {
    const lines = (rest + decoder.decode(chunk, { stream: true })).split('\n');
    rest = lines.pop() ?? '';
    for (const line of lines) if (line.trim() !== '') yield parseLine<T>(line);
  }
  if (rest.trim() !== '') yield parseLine<T>(rest);
}

function parseLine<T>(line: string): T {
  try {
    return JSON.parse(line) as T;
  } catch (cause) {
    throw new BerthSdkError('internal', 'the daemon answered with malformed JSON', { cause });
  }
}

export interface OutputChunk {
  readonly stream: 'stdout' | 'stderr';
  readonly data: Buffer;
}

/**
 * Output of a process: demultiplexed, or with `tty` all of it as stdout. Empty frames (a stream's end) are passed over. Fails
 * with `unavailable` when the last frame is cut short.
 */
export async function* outputChunks(
  body: AsyncIterable<Buffer>,
  tty: boolean,
): AsyncGenerator<OutputChunk, void> {
  const decoder = new FrameDecoder();
  for await (const chunk of body) {
    if (tty) {
      yield { stream: 'stdout', data: chunk };
      continue;
    }
    for (const frame of decoder.push(chunk)) {
      if (frame.payload.length === 0) continue;
      yield { stream: frame.type === FRAME.stderr ? 'stderr' : 'stdout', data: frame.payload };
    }
  }
  if (decoder.pendingBytes > 0)
    throw new BerthSdkError(
      'unavailable',
      'the connection to the daemon was closed before the end of the output',
    );
}
