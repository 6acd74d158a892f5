// Fixed jobs on the host and inside, by turns.

import { createHash } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { BerthError, errorMessage } from '../../core/index.ts';
import { addToCgroup, createCgroup, removeCgroup } from '../../host/cgroup.ts';
import { spawnStream } from '../../host/process.ts';
import type { CompareColumn } from '../../wire/compare.ts';
import type { Book } from '../book.ts';
import type { Lab } from '../lab.ts';
import { parseAnswers, type TimedLine } from '../output.ts';

/** What each job of the workbench does, in the words of progress. */
export const JOBS = {
  cpu: 'computing',
  syscall: 'system calls',
  disk: 'writing to disk',
  pipe: 'two processes by pipe',
  loopback: 'two processes by TCP',
} as const;
export type Job = keyof typeof JOBS;
export const JOB_NAMES = Object.keys(JOBS) as readonly Job[];

interface JobAnswer {
  readonly answers: ReadonlyMap<string, readonly string[]>;
  readonly lines: readonly TimedLine[];
}

/**
 * The workbench program on the host. Jobs run in a control group of their own, as instances do: otherwise they would
 * share one part of a busy processor with all that is in no group. What they write is in a folder below `stateDir`.
 */
export class HostBench {
  readonly #benchPath: string;
  readonly #stateDir: string;
  readonly #group: string;

  constructor(benchPath: string, stateDir: string) {
    this.#benchPath = benchPath;
    this.#stateDir = stateDir;
    this.#group = `/berth-compare-${createHash('sha256').update(stateDir).digest('hex').slice(0, 8)}`;
  }

  /** Fails with the program's own words when it says `error=…`. */
  async bench(args: readonly string[], group?: string): Promise<JobAnswer> {
    const child = spawnStream(this.#benchPath, args);
    child.stderr.resume();
    try {
      if (group !== undefined) await addToCgroup(group, child.pid);
    } finally {
      child.stdin.end();
    }
    const lines: TimedLine[] = [];
    let rest = '';
    for await (const chunk of child.stdout as AsyncIterable<Buffer>) {
      const parts = (rest + chunk.toString()).split('\n');
      rest = parts.pop() ?? '';
      for (const text of parts) lines.push({ text, at: performance.now() });
    }
    const exit = await child.exit;
    const answers = parseAnswers(lines);
    const [problem] = answers.get('error') ?? [];
    if (problem !== undefined || exit.code !== 0)
      throw new BerthError(
        'internal',
        problem ?? `${this.#benchPath} ended with ${exit.code ?? exit.signal}`,
      );
    return { answers, lines };
  }

  async job(job: Job): Promise<JobAnswer> {
    const folder = await mkdtemp(join(this.#stateDir, 'compare-'));
    try {
      await createCgroup(this.#group);
      return await this.bench(['job', job, folder, 'wait'], this.#group);
    } finally {
      await rm(folder, { recursive: true, force: true });
      await removeCgroup(this.#group);
    }
  }
}

/** Runs one job in one place and writes it down; `warmUp` runs it only. A job that fails is unknown with its reason. */
export async function runJob(
  book: Book,
  place: Lab | HostBench,
  job: Job,
  options: { readonly warmUp: boolean },
): Promise<void> {
  const column: CompareColumn = place instanceof HostBench ? 'host' : place.isolation;
  try {
    const answer = place instanceof HostBench ? await place.job(job) : await place.bench(['job', job, '/']);
    if (options.warmUp) return;
    const insideMs = elapsedMs(answer);
    book.sample(`work.${job}`, column, insideMs);
    const outsideMs = spanMs(answer.lines);
    if (job === 'cpu' && outsideMs !== undefined && column !== 'host')
      book.sample('work.clock', column, insideMs / outsideMs);
  } catch (error) {
    book.unknown(`work.${job}`, column, `the job failed: ${errorMessage(error)}`);
  }
}

function elapsedMs(answer: JobAnswer): number {
  const [ns] = answer.answers.get('elapsed') ?? [];
  if (ns === undefined) throw new BerthError('internal', 'it told no time');
  return Number(ns) / 1e6;
}

/** Between the arrival of `begin` and that of the result, by the host's clock. */
function spanMs(lines: readonly TimedLine[]): number | undefined {
  const begin = lines.find((line) => line.text === 'begin');
  const end = lines.find((line) => line.text.startsWith('elapsed='));
  return begin === undefined || end === undefined ? undefined : end.at - begin.at;
}
