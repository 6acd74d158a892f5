// Further processes in a workload, by id: created, started once, remembered until the workload goes.

import { randomBytes } from 'node:crypto';
import { PassThrough } from 'node:stream';
import {
  BerthError,
  type ExecProcess,
  errorMessage,
  isBerthError,
  type ProcessIo,
  type ProcessSpec,
  type TerminalSize,
} from '../core/index.ts';
import { reach } from './adoption.ts';
import type { ExecSpec, Execs, ExecView } from './api.ts';
import type { EngineContext } from './context.ts';
import { conflict, requireRunning } from './lifecycle.ts';
import { checkProcessText, mergeEnv } from './resolve/index.ts';
import type { Workload } from './workload.ts';

/** Ended execs that a workload keeps; the oldest are forgotten first. */
const KEPT_ENDED = 128;
/** Execs that nobody started, of all workloads; the oldest are forgotten first. */
const KEPT_CREATED = 2048;
/** Execs of a workload that run at the same time. */
const MOST_RUNNING = 1000;
/** Docker's exit status of an exec that could not be run for a reason that says nothing of the command. */
const NOT_EXECUTED = 126;

interface ExecEntry {
  readonly id: string;
  readonly workload: Workload;
  readonly spec: ExecSpec;
  state: 'created' | 'starting' | 'running' | 'ended';
  process: ExecProcess | undefined;
  exitCode: number | undefined;
  /** Asked for before the process was there. */
  size: TerminalSize | undefined;
}

export class ExecTable implements Execs {
  readonly #ctx: EngineContext;
  readonly #execs = new Map<string, ExecEntry>();
  /** Ended ones of each workload that had any exec, oldest first. */
  readonly #endedIds = new Map<Workload, string[]>();

  /** Ids of execs that were created and have not started, in the order of creation. */
  readonly #created = new Set<string>();

  constructor(ctx: EngineContext) {
    this.#ctx = ctx;
  }

  async create(reference: string, spec: ExecSpec): Promise<string> {
    const workload = await reach(this.#ctx, reference);
    requireExecutable(workload);
    if (spec.args.length === 0) throw new BerthError('invalid-argument', 'No exec command specified');
    checkProcessText(execProcess(workload, spec));
    const id = randomBytes(32).toString('hex');
    const process = undefined;
    this.#execs.set(id, {
      id,
      workload,
      spec,
      state: 'created',
      process,
      exitCode: undefined,
      size: undefined,
    });
    workload.execIds.add(id);
    this.#created.add(id);
    const [oldest] = this.#created;
    if (this.#created.size > KEPT_CREATED && oldest !== undefined) this.#forget(oldest);
    this.#remember(workload);
    this.#publish(workload, `exec_create: ${spec.args.join(' ')}`, id);
    return id;
  }

  checkStart(id: string): void {
    this.#startable(id);
  }

  #startable(id: string): ExecEntry {
    const entry = this.#find(id);
    if (entry.state === 'ended') throw conflict(`Error: Exec command ${id} has already run`);
    if (entry.state !== 'created') throw conflict(`Error: Exec command ${id} is already running`);
    const { workload } = entry;
    requireExecutable(workload);
    const running = [...workload.execIds].filter((other) => !this.#created.has(other));
    if (running.length >= MOST_RUNNING)
      throw new BerthError(
        'exhausted',
        `container ${workload.name} runs ${MOST_RUNNING} execs already: wait until some have ended`,
      );
    return entry;
  }

  async start(id: string, size?: TerminalSize): Promise<ProcessIo> {
    const entry = this.#startable(id);
    const { workload, spec } = entry;
    const { exec } = workload.requireInstance();
    if (exec === undefined)
      throw new BerthError(
        'unsupported',
        `cannot execute in container ${workload.name}: isolation ${workload.record.spec.isolation} cannot run further processes`,
      );
    entry.state = 'starting';
    this.#created.delete(id);
    this.#publish(workload, `exec_start: ${spec.args.join(' ')}`, id);
    try {
      entry.process = await exec.run(execProcess(workload, spec), size ?? entry.size);
    } catch (error) {
      this.#ended(entry, isBerthError(error) ? (error.exitStatus ?? NOT_EXECUTED) : NOT_EXECUTED);
      throw error;
    }
    entry.state = 'running';
    return this.#watch(entry, entry.process);
  }

  get(id: string): ExecView {
    const { workload, spec, state, process, exitCode } = this.#find(id);
    return {
      id,
      workloadId: workload.id,
      spec,
      running: state === 'running' || state === 'starting',
      pid: process?.pid ?? 0,
      ...(exitCode === undefined ? {} : { exitCode }),
    };
  }

  async resize(id: string, size: TerminalSize): Promise<void> {
    const entry = this.#find(id);
    if (entry.state === 'ended') throw conflict(`Exec command ${id} is not running`);
    entry.size = size;
    await entry.process?.resize(size);
  }

  /** From the first exec of a workload on, its removal is awaited. */
  #remember(workload: Workload): void {
    if (this.#endedIds.has(workload)) return;
    this.#endedIds.set(workload, []);
    workload.removals.next().then(
      () => {
        this.#endedIds.delete(workload);
        for (const [id, entry] of this.#execs) if (entry.workload === workload) this.#forget(id);
      },
      // The engine closes: all is forgotten anyway.
      () => {},
    );
  }

  #forget(id: string): void {
    this.#execs.get(id)?.workload.execIds.delete(id);
    this.#created.delete(id);
    this.#execs.delete(id);
  }

  #find(id: string): ExecEntry {
    const entry = this.#execs.get(id);
    if (entry === undefined) throw new BerthError('not-found', `No such exec instance: ${id}`);
    return entry;
  }

  /** A client that goes away takes its view of the output with it, not the process nor the news of its end. */
  #watch(entry: ExecEntry, process: ExecProcess): ProcessIo {
    process.exit.then(
      ({ code }) => {
        this.#ended(entry, code);
        this.#publish(entry.workload, 'exec_die', entry.id, { exitCode: String(code) });
      },
      (error: unknown) => {
        if (this.#ctx.closing.aborted) return;
        this.#ctx.log(`exec ${entry.id}: its end cannot be learned: ${errorMessage(error)}`);
        this.#ended(entry, NOT_EXECUTED);
      },
    );
    return detachable(process);
  }

  #ended(entry: ExecEntry, exitCode: number): void {
    entry.state = 'ended';
    entry.exitCode = exitCode;
    entry.process = undefined;
    entry.workload.execIds.delete(entry.id);
    const ended = this.#endedIds.get(entry.workload);
    if (ended === undefined) return;
    ended.push(entry.id);
    if (ended.length > KEPT_ENDED) this.#execs.delete(ended.shift() ?? '');
  }

  #publish(
    workload: Workload,
    action: string,
    execID: string,
    attributes: Readonly<Record<string, string>> = {},
  ): void {
    this.#ctx.events.publish(workload.event(action, { execID, ...attributes }));
  }
}

function requireExecutable(workload: Workload): void {
  if (workload.state === 'paused')
    throw conflict(`Container ${workload.id} is paused, unpause the container before exec`);
  requireRunning(workload);
}

/** The workload's own environment, folder and user, as far as the exec says nothing else. */
function execProcess(workload: Workload, spec: ExecSpec): ProcessSpec {
  const { process: main } = workload.record.instance;
  return {
    args: spec.args,
    env: mergeEnv(spec.tty ? mergeEnv(['TERM=xterm'], main.env) : main.env, spec.env),
    cwd: spec.workingDir || main.cwd,
    user: spec.user || main.user,
    additionalGroups: main.additionalGroups,
    tty: spec.tty,
    stdin: spec.attachStdin,
    privileged: spec.privileged || main.privileged,
  };
}

function detachable(process: ExecProcess): ProcessIo {
  const output = new PassThrough();
  const drain = () => {
    process.output.unpipe(output);
    process.output.resume();
  };
  process.output.pipe(output);
  process.output.once('error', (error) => output.destroy(error));
  // Whoever reads hears of a broken connection; that nobody reads must not end the daemon.
  output.on('error', () => {});
  process.input.on('error', () => {});
  output.once('close', drain);
  return {
    output,
    input: process.input,
    exit: process.exit,
    resize: (size) => process.resize(size),
    close: () => {
      process.input.end();
      output.destroy();
    },
  };
}
