// Entries of a log in order: what is there, and then what comes until the workload has ended.

import type { LogEntry } from '../api.ts';
import { closeAll, openChain, openNext } from './chain.ts';
import { parseEntry, parseTimeNano } from './entry.ts';
import { LogWatch } from './follow.ts';
import type { LineFile } from './line-file.ts';

export interface ReadLogOptions {
  readonly stdout: boolean;
  readonly stderr: boolean;
  readonly tail?: number;
  readonly since?: bigint;
  readonly until?: bigint;
  /** Ends the reading at once. */
  readonly signal?: AbortSignal;
  /** Follow the log; aborted when nothing more will be written. Absent: read what is there. */
  readonly ended?: AbortSignal;
}

const MAX_TIMER_MS = 2 ** 31 - 1;

/** Reads `path` and the files it was rotated to. Lines that are no entries are passed over. */
export async function* readLog(path: string, options: ReadLogOptions): AsyncGenerator<LogEntry> {
  // Watched before the first look, so that no change falls between.
  using watch = options.ended === undefined ? undefined : new LogWatch(path);
  using _ = watch === undefined ? undefined : wakeAtEnd(watch, options);
  const files = await openChain(path, options.tail);
  try {
    for (;;) {
      const ended = isEnded(options);
      for (const file of files) {
        for (let lines = await file.read(); lines !== undefined; lines = await file.read()) {
          for (const line of lines) {
            if (options.signal?.aborted) return;
            const verdict = judge(parseEntry(line), options);
            if (verdict === 'past') return;
            if (verdict !== 'skip') yield verdict;
          }
        }
      }
      await dropRead(files);
      if (watch === undefined || options.signal?.aborted) return;
      const next = await openNext(path, files[0]?.inode);
      if (next !== undefined) {
        // The file before may have grown until it was rotated: it is read once more, and then the next one.
        files.push(next);
      } else {
        // Ended before everything was read up to here, so there is nothing more to come.
        if (ended) return;
        await watch.changed();
      }
    }
  } finally {
    await closeAll(files);
  }
}

/** Of what is read to its end only the newest file can still grow. */
async function dropRead(files: LineFile[]): Promise<void> {
  await closeAll(files.splice(0, Math.max(0, files.length - 1)));
}

function isEnded(options: ReadLogOptions): boolean {
  if (options.ended === undefined || options.ended.aborted || options.signal?.aborted) return true;
  return options.until !== undefined && BigInt(Date.now()) * 1_000_000n > options.until;
}

function judge(entry: LogEntry | undefined, options: ReadLogOptions): LogEntry | 'skip' | 'past' {
  if (entry === undefined) return 'skip';
  if (options.since !== undefined || options.until !== undefined) {
    const time = parseTimeNano(entry.time);
    if (time === undefined) return 'skip';
    if (options.until !== undefined && time > options.until) return 'past';
    if (options.since !== undefined && time < options.since) return 'skip';
  }
  return (entry.stream === 1 ? options.stdout : options.stderr) ? entry : 'skip';
}

function wakeAtEnd(watch: LogWatch, { signal, ended, until }: ReadLogOptions): Disposable {
  const wake = () => watch.notify();
  let timer: NodeJS.Timeout | undefined;
  // The clocks of timers and of the day do not tick together: a timer may come while it is not quite that time yet.
  const wakeAt = (endMs: number) => {
    const remainingMs = endMs - Date.now();
    if (remainingMs <= 0) wake();
    else timer = setTimeout(wakeAt, Math.min(remainingMs, MAX_TIMER_MS), endMs).unref();
  };
  if (until !== undefined) wakeAt(Number(until / 1_000_000n) + 1);
  signal?.addEventListener('abort', wake);
  ended?.addEventListener('abort', wake);
  return {
    [Symbol.dispose]: () => {
      clearTimeout(timer);
      signal?.removeEventListener('abort', wake);
      ended?.removeEventListener('abort', wake);
    },
  };
}
