// One more process in a running container.

import {
  BerthError,
  type Exec,
  type ExecProcess,
  type InstanceSpec,
  isBerthError,
  type ProcessSpec,
  type TerminalSize,
} from '../../core/index.ts';
import { askIdentity, type Fields, field, ShimProcessIo } from '../../guest/index.ts';
import { settlesWithin } from '../../host/patience.ts';
import { processConfig } from './config.ts';
import type { DriverContext } from './context.ts';
import { launchError } from './launch-error.ts';
import type { ContainerSupervisor } from './supervisor.ts';

/** An end that made an exec fail is told by the supervisor within this time. */
const END_NEWS_MS = 500;

export interface ExecGuard {
  /** Fails with `invalid-state` or `conflict` naming what cannot be done. */
  assertRunning(what: string): void;
  spec(): InstanceSpec;
}

export class ContainerExec implements Exec {
  readonly #supervisor: ContainerSupervisor;
  readonly #context: DriverContext;
  readonly #guard: ExecGuard;

  constructor(supervisor: ContainerSupervisor, context: DriverContext, guard: ExecGuard) {
    this.#supervisor = supervisor;
    this.#context = context;
    this.#guard = guard;
  }

  async run(process: ProcessSpec, size?: TerminalSize): Promise<ExecProcess> {
    this.#guard.assertRunning('exec');
    const client = this.#supervisor.client();
    const connection = await client.connect();
    try {
      const identity = await askIdentity((op, fields) => connection.request(op, fields), process);
      const config = processConfig(this.#guard.spec(), process, identity, this.#context.traits, size);
      const opened: Fields = await connection.request('exec', {
        process: JSON.stringify(config),
        tty: process.tty,
        stdin: process.stdin,
        rows: size?.rows,
        columns: size?.columns,
      });
      const io = client.keep(new ShimProcessIo(process.tty, connection));
      return execProcess(io, Number(field(opened, 'pid') ?? 0));
    } catch (error) {
      connection.close();
      await this.#assertStillRuns(error);
      throw launchError('exec', process.args[0] ?? '', error);
    }
  }

  /** Fails with `invalid-state` when an exec failed because the container is paused or has just ended. */
  async #assertStillRuns(error: unknown): Promise<void> {
    this.#guard.assertRunning('exec');
    if (!isBerthError(error, 'internal') || error.exitStatus !== undefined) return;
    const exit = this.#supervisor.exit().catch(() => {});
    if (!(await settlesWithin(exit, END_NEWS_MS))) return;
    throw new BerthError('invalid-state', 'cannot exec: the container has just ended', { cause: error });
  }
}

function execProcess(io: ShimProcessIo, pid: number): ExecProcess {
  return {
    pid,
    output: io.output,
    input: io.input,
    exit: io.exit,
    resize: (size) => io.resize(size),
    kill: async (signal) => io.signal(signal),
    close: () => io.close(),
  };
}
