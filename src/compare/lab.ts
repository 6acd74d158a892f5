// An instance of the image with the workbench program put into it, so that the same things can be measured inside any
// image, even one without a shell. It runs `berth-bench idle` and everything else by exec.

import { readFile } from 'node:fs/promises';
import { Readable } from 'node:stream';
import { BerthError, type ExitStatus, type Isolation } from '../core/index.ts';
import { writeTar } from '../formats/tar.ts';
import { OutputReader, parseAnswers, type TimedLine } from './output.ts';
import type { Session } from './session.ts';

const INSIDE = '/berth-bench';
const READY_TIMEOUT_MS = 120_000;

export interface BenchAnswer {
  readonly answers: ReadonlyMap<string, readonly string[]>;
  readonly lines: readonly TimedLine[];
  readonly exit: ExitStatus;
  /** From the call to the exit status. */
  readonly tookMs: number;
}

export class Lab {
  readonly isolation: Isolation;
  readonly id: string;
  readonly #session: Session;

  private constructor(session: Session, isolation: Isolation, id: string) {
    this.#session = session;
    this.isolation = isolation;
    this.id = id;
  }

  /** Creates the instance and puts the program into it; does not start it. */
  static async create(
    session: Session,
    isolation: Isolation,
    options: { readonly benchPath: string; readonly privileged?: boolean },
  ): Promise<Lab> {
    const privileged = options.privileged ?? false;
    const { id } = await session.create(isolation, {
      entrypoint: [INSIDE, 'idle'],
      command: [],
      workingDir: '/',
      user: '0:0',
      stopSignal: 'SIGTERM',
      security: { privileged, capAdd: [], capDrop: [], noNewPrivileges: false, seccomp: 'default' },
    });
    const content = await readFile(options.benchPath);
    const tar = writeTar([{ name: INSIDE.slice(1), type: 'file', mode: 0o755, content }]);
    await session.engine.workloads.writeArchive(id, '/', Readable.from(tar), {
      noOverwriteDirNonDir: true,
      copyUidGid: false,
    });
    return new Lab(session, isolation, id);
  }

  /** Resolves when the program in it has said that it is ready. */
  async start(): Promise<void> {
    const { workloads } = this.#session.engine;
    const io = await workloads.attach(this.id, { stdin: false, stdout: true, stderr: true });
    try {
      const reader = new OutputReader(io);
      await workloads.start(this.id);
      const late = Promise.withResolvers<undefined>();
      const timer = setTimeout(() => late.resolve(undefined), READY_TIMEOUT_MS);
      const at = await Promise.race([reader.firstByte, late.promise]).finally(() => clearTimeout(timer));
      if (at === undefined)
        throw new BerthError('internal', `the ${this.isolation} of the comparison did not get ready`);
    } finally {
      io.close();
    }
  }

  /** Stops it gracefully; resolves to the time until the engine knew its end. */
  async stop(): Promise<number> {
    const start = performance.now();
    await this.#session.engine.workloads.stop(this.id, { timeoutSeconds: 20 });
    const tookMs = performance.now() - start;
    const { exit } = this.#session.engine.workloads.get(this.id);
    if (exit !== undefined && exit.code !== 0)
      throw new BerthError('internal', `the idle program did not end by itself: exit code ${exit.code}`);
    return tookMs;
  }

  remove(): Promise<number> {
    return this.#session.remove(this.id);
  }

  /** Runs the workbench program inside. Fails with its own words when it says `error=…`. */
  async bench(
    args: readonly string[],
    options: { readonly privileged?: boolean } = {},
  ): Promise<BenchAnswer> {
    const { execs } = this.#session.engine;
    const start = performance.now();
    const id = await execs.create(this.id, {
      args: [INSIDE, ...args],
      env: [],
      workingDir: '/',
      user: '0:0',
      tty: false,
      privileged: options.privileged ?? false,
      attachStdin: false,
      attachStdout: true,
      attachStderr: true,
      detachKeys: '',
    });
    const io = await execs.start(id);
    try {
      const reader = new OutputReader(io);
      const exit = await io.exit;
      const tookMs = performance.now() - start;
      await reader.ended;
      return checkAnswer(
        { answers: parseAnswers(reader.lines), lines: reader.lines, exit, tookMs },
        reader.errors,
      );
    } finally {
      io.close();
    }
  }
}

function checkAnswer(answer: BenchAnswer, errors: string): BenchAnswer {
  const [problem] = answer.answers.get('error') ?? [];
  if (problem !== undefined) throw new BerthError('internal', problem);
  if (answer.exit.code !== 0)
    throw new BerthError('internal', `it ended with exit code ${answer.exit.code} ${errors.trim()}`.trim());
  return answer;
}
