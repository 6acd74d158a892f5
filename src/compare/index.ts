// The comparison: runs one image in each isolation by turns, measures, and makes the report.
// Owns the plan, the rows, their rules and the page. Never starts an instance but through the engine, and never states
// a figure that was not measured in this run: what is missing is `unknown` with its reason.
// Invariant: every workload it makes carries the label `berth.compare` and is gone when `run` settles.

import { access, constants } from 'node:fs/promises';
import { BerthError, type Image, type ImageStore, type Isolation } from '../core/index.ts';
import type { Engine } from '../engine/api.ts';
import {
  type CompareProgress,
  type CompareReport,
  type CompareRequest,
  compareRequestProblem,
} from '../wire/compare.ts';
import { Book } from './book.ts';
import { caveats } from './caveats.ts';
import { recordDensity } from './density.ts';
import { availableMemoryBytes, describeHost, loadOfOneMinute } from './host-class.ts';
import { renderHtml } from './page/index.ts';
import { Plan } from './plan.ts';
import { recordImage, recordNeeds } from './portability.ts';
import { buildReport } from './report.ts';
import { removeLeftovers, Session } from './session.ts';
import { runSteps } from './steps.ts';
import {
  type Chosen,
  chooseCommand,
  chooseIsolations,
  findImage,
  missingBench,
  requestedImage,
} from './subject.ts';

export interface CompareOptions {
  readonly engine: Engine;
  readonly images: ImageStore;
  /** The static workbench program (workbench/). */
  readonly benchPath: string;
  /** A folder on the file system that holds the instances: the disk job of the host runs there. */
  readonly stateDir: string;
}

export type OnCompareProgress = (progress: CompareProgress) => void;

export interface Compare {
  /**
   * Runs a whole comparison. Fails with `invalid-argument`, `conflict` while another one runs, `cancelled`, or as the
   * engine does when the workload cannot run at all; in every case nothing is left behind.
   */
  run(request: CompareRequest, onProgress?: OnCompareProgress, signal?: AbortSignal): Promise<CompareReport>;
}

const DEFAULT_RUNS: Readonly<Record<Isolation, number>> = { container: 10, vm: 5 };

export function createCompare(options: CompareOptions): Compare {
  let busy = false;
  return {
    async run(request, onProgress = () => {}, signal) {
      const problem = compareRequestProblem(request);
      if (problem !== undefined) throw new BerthError('invalid-argument', problem);
      if (busy)
        throw new BerthError('conflict', 'a comparison is running: two at once would measure each other');
      busy = true;
      try {
        return await compareOnce(options, request, onProgress, signal);
      } finally {
        busy = false;
      }
    },
  };
}

async function compareOnce(
  options: CompareOptions,
  request: CompareRequest,
  onProgress: OnCompareProgress,
  signal: AbortSignal | undefined,
): Promise<CompareReport> {
  const startedAt = new Date().toISOString();
  const begun = performance.now();
  const loadBefore = loadOfOneMinute();
  const phase = 'looking at the host and the image';
  onProgress({ done: 0, total: 1, phase, label: phase, elapsedMs: 0, remainingMs: 0 });
  await access(options.benchPath, constants.X_OK).catch((error: unknown) => {
    throw missingBench(options.benchPath, error);
  });
  const { engine, images } = options;
  await removeLeftovers(engine);
  const probes = await engine.probes();
  const chosen = chooseIsolations(request, probes);
  const image = await findImage(images, requestedImage(request), signal);
  const book = new Book();
  const measured = await measure(options, { request, image, chosen, book, onProgress, signal });
  for (const isolation of chosen.isolations) recordNeeds(book, isolation, probes[isolation]);
  recordImage(book, image, chosen.isolations);
  recordDensity(book, chosen.isolations, await availableMemoryBytes());
  const host = await describeHost(probes, loadBefore);
  const report = buildReport(book, {
    startedAt,
    durationMs: Math.round(performance.now() - begun),
    host,
    subject: measured.subject,
    absent: chosen.absent,
    caveats: caveats({ host, ...measured }),
  });
  return request.html === true ? { ...report, html: renderHtml(report) } : report;
}

interface Measuring {
  readonly request: CompareRequest;
  readonly image: Image;
  readonly chosen: Chosen;
  readonly book: Book;
  readonly onProgress: OnCompareProgress;
  readonly signal: AbortSignal | undefined;
}

/** Does the plan; every instance is gone when it settles. */
async function measure(
  options: CompareOptions,
  { request, image, chosen, book, onProgress, signal }: Measuring,
) {
  const command = chooseCommand(request, image);
  const runs = { container: request.runs ?? DEFAULT_RUNS.container, vm: request.runs ?? DEFAULT_RUNS.vm };
  await using session = new Session(options.engine, image.id);
  const { isolations } = chosen;
  const { images, benchPath, stateDir } = options;
  const plan = new Plan({ session, book, images, image, command, isolations, runs, benchPath, stateDir });
  await runSteps(plan.steps(), onProgress, signal);
  const subject = {
    image: requestedImage(request),
    imageId: image.id,
    command: command.shown,
    commandNote: command.note,
    isolations,
    runs: Object.fromEntries(isolations.map((isolation) => [isolation, runs[isolation]])),
  };
  return { subject, services: plan.services, exitCodes: plan.exitCodes, whyCold: plan.whyCold };
}
