// Request bodies that are sent while the answer may already be coming.

import { BerthSdkError } from './errors.ts';
import type { Link } from './link.ts';

/** How far a request has come. */
export interface UploadProgress {
  /** All of it was written. */
  sent: boolean;
  /** The answer is an error: the rest is of no use to anyone. */
  refused: boolean;
}

/** The link took no more; what came back on it may say why. */
export class WriteFailed extends BerthSdkError {
  constructor(cause?: unknown) {
    super('unavailable', 'the daemon stopped reading before all was sent', { cause });
  }
}

export async function writeOrFail(link: Link, bytes: Uint8Array): Promise<void> {
  try {
    await link.write(bytes);
  } catch (error) {
    throw new WriteFailed(error);
  }
}

/** A body of unknown length in HTTP's chunks. Fails with WriteFailed, or with the source's own error. */
export async function sendChunks(
  link: Link,
  source: AsyncIterable<Uint8Array>,
  progress: UploadProgress,
): Promise<void> {
  for await (const chunk of source) {
    if (chunk.length > 0) await sendPart(link, chunkOf(chunk), progress);
  }
  await sendPart(link, LAST_CHUNK, progress);
}

async function sendPart(link: Link, bytes: Uint8Array, progress: UploadProgress): Promise<void> {
  // Gives an early refusal the chance to be seen before a write to a closed connection would lose it.
  await new Promise((resolve) => setImmediate(resolve));
  if (progress.refused) throw new WriteFailed();
  await writeOrFail(link, bytes);
}

function chunkOf(data: Uint8Array): Buffer {
  return Buffer.concat([Buffer.from(`${data.length.toString(16)}\r\n`), data, CRLF]);
}

const CRLF = Buffer.from('\r\n');
const LAST_CHUNK = Buffer.from('0\r\n\r\n');
