// One deployment of the user's own command: create, attach and start, first output, exit, remove. All times are taken
// inside the daemon around its engine's calls: what a client and HTTP add is not in them. Attaching counts as part of the
// start, since it makes the supervisor, or takes over a VM that waited.

import { BerthError, type ExitStatus, type Isolation } from '../core/index.ts';
import type { Book } from './book.ts';
import { OutputReader } from './output.ts';
import type { Session, SpecChange, VmBoot } from './session.ts';

export interface Deployment {
  readonly createMs: number;
  /** From the call of attach; undefined when nothing was written. */
  readonly firstOutputMs: number | undefined;
  /** From the call of attach; undefined when it still ran at the deadline. */
  readonly exitMs: number | undefined;
  readonly removeMs: number;
  readonly exit: ExitStatus | undefined;
}

export interface DeployOptions {
  readonly change: SpecChange;
  /** After this long without an end the command counts as a service and is stopped. */
  readonly serviceAfterMs: number;
  /** It has been found a service before: wait for its first output only. */
  readonly service: boolean;
  /** How a VM is to come up; default: as all of the session. */
  readonly boot?: VmBoot;
}

/** Fails as the engine does when the command cannot be started. */
export async function deploy(
  session: Session,
  isolation: Isolation,
  options: DeployOptions,
): Promise<Deployment> {
  const { workloads } = session.engine;
  const { id, tookMs: createMs } = await session.create(isolation, options.change, options.boot);
  const start = performance.now();
  const io = await workloads.attach(id, { stdin: false, stdout: true, stderr: true });
  try {
    const reader = new OutputReader(io);
    const exited = workloads.wait(id, 'next-exit');
    exited.catch(() => {});
    await workloads.start(id);
    const until = options.service ? Promise.race([exited, reader.firstByte]) : exited;
    const ended = await within(until, options.serviceAfterMs);
    const exitMs = ended && !options.service ? performance.now() - start : undefined;
    if (exitMs === undefined) await workloads.stop(id, { timeoutSeconds: 2 });
    const exit = exitMs === undefined ? undefined : await exited;
    if (exit !== undefined) await reader.ended;
    const firstOutputMs = reader.firstByteAt === undefined ? undefined : reader.firstByteAt - start;
    const removeMs = await session.remove(id);
    return { createMs, firstOutputMs, exitMs, removeMs, exit };
  } finally {
    io.close();
  }
}

/** Whether the promise resolved in time. Rejects as it does. */
async function within(promise: Promise<unknown>, ms: number): Promise<boolean> {
  const late = Promise.withResolvers<false>();
  const timer = setTimeout(() => late.resolve(false), ms);
  try {
    return await Promise.race([promise.then(() => true), late.promise]);
  } finally {
    clearTimeout(timer);
  }
}

/** Writes one deployment down. */
export function recordDeployment(
  book: Book,
  isolation: Isolation,
  run: Deployment,
  serviceAfterMs: number,
): void {
  book.sample('deploy.create', isolation, run.createMs);
  book.sample('deploy.remove', isolation, run.removeMs);
  if (run.firstOutputMs === undefined)
    book.unknown('deploy.first-output', isolation, 'the command wrote nothing');
  else book.sample('deploy.first-output', isolation, run.firstOutputMs);
  if (run.exitMs === undefined) {
    const seconds = serviceAfterMs / 1000;
    book.unknown('deploy.exit', isolation, `the command still ran after ${seconds} s: taken for a service`);
  } else {
    book.sample('deploy.exit', isolation, run.exitMs);
    book.sample('deploy.total', isolation, run.createMs + run.exitMs + run.removeMs);
  }
}

/** A start that ends at once with an error of the instance, not of the command, makes every figure worthless. */
export function checkDeployment(isolation: Isolation, run: Deployment): void {
  if (run.exit?.reason === undefined) return;
  throw new BerthError(
    'unavailable',
    `the ${isolation} ended by ${run.exit.reason}: ${run.exit.message ?? 'no more is known'}`,
  );
}
