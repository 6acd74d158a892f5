// Exit statuses as the protocol and the `exit` file carry them.

import { join } from 'node:path';
import { EXIT_REASONS, type ExitStatus } from '../core/index.ts';
import { decodeFields, encodeFields } from '../formats/frames.ts';
import { visibleText } from '../formats/visible.ts';
import { readIfExists, writeAtomic } from '../host/files.ts';
import { field } from './connection.ts';

/** The exit status in the fields of an EXIT frame. */
export function parseExit(payload: Buffer): ExitStatus {
  const fields = decodeFields(payload);
  const reason = EXIT_REASONS.find((known) => known === field(fields, 'reason'));
  const message = field(fields, 'message');
  return {
    code: exitCode(field(fields, 'code')),
    oomKilled: field(fields, 'oom') === '1',
    ...(reason === undefined ? {} : { reason }),
    ...(message === undefined ? {} : { message: visibleText(message) }),
    finishedAt: field(fields, 'finished') ?? new Date().toISOString(),
  };
}

/** A code that is none stands for an end that nobody knows. */
function exitCode(text: string | undefined): number {
  const code = /^\d{1,3}$/.test(text ?? '') ? Number(text) : 255;
  return Math.min(code, 255);
}

export interface RecordedExit {
  readonly status: ExitStatus;
  readonly startedAt?: string;
}

/** What the shim of this instance folder wrote when the last run ended, or undefined. */
export async function readExit(dir: string): Promise<RecordedExit | undefined> {
  const text = await readIfExists(join(dir, 'exit'));
  if (text === undefined) return undefined;
  const payload = Buffer.from(text);
  const startedAt = field(decodeFields(payload), 'started');
  return { status: parseExit(payload), ...(startedAt === undefined ? {} : { startedAt }) };
}

/** Writes the end of a run as its shim would have; what a shim wrote stays. */
export async function recordExit(dir: string, status: ExitStatus): Promise<void> {
  if ((await readExit(dir)) !== undefined) return;
  const { code, reason, message, finishedAt } = status;
  await writeAtomic(join(dir, 'exit'), encodeFields({ code, reason, message, finished: finishedAt }));
}

/** The status of a run whose supervisor vanished: nobody knows how it went. */
export function supervisorDied(message: string): ExitStatus {
  return {
    code: 255,
    oomKilled: false,
    reason: 'supervisor-died',
    message,
    finishedAt: new Date().toISOString(),
  };
}
