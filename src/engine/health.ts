// Health checks: a command run inside at intervals, Docker's rules of what its exit codes mean.

import {
  type ExecProcess,
  errorMessage,
  type HealthSpec,
  type HealthStatus,
  type ProcessSpec,
} from '../core/index.ts';
import { FRAME, FrameDecoder } from '../formats/frames.ts';
import type { EngineContext } from './context.ts';
import type { Workload } from './workload.ts';

const KEPT_PROBES = 5;
const MAX_OUTPUT_BYTES = 4096;
/** What shows as exit code when the check did not end in time or could not be run. */
const NO_EXIT = -1;

type Probe = HealthStatus['log'][number];

export class HealthMonitor {
  readonly #ctx: EngineContext;
  readonly #workload: Workload;
  readonly #spec: HealthSpec;
  #timer: NodeJS.Timeout | undefined;
  #stopped = true;
  #startedMs = 0;
  #status: HealthStatus = { status: 'starting', failingStreak: 0, log: [] };

  constructor(ctx: EngineContext, workload: Workload, spec: HealthSpec) {
    this.#ctx = ctx;
    this.#workload = workload;
    this.#spec = spec;
  }

  status(): HealthStatus {
    return this.#status;
  }

  start(): void {
    this.#stopped = false;
    this.#startedMs = Date.now();
    this.#schedule();
  }

  /** The last status stays readable. */
  stop(): void {
    this.#stopped = true;
    clearTimeout(this.#timer);
  }

  #starting(): boolean {
    return this.#status.status === 'starting' && Date.now() - this.#startedMs < this.#spec.startPeriodMs;
  }

  #schedule(): void {
    if (this.#stopped) return;
    const delay = this.#starting() ? this.#spec.startIntervalMs : this.#spec.intervalMs;
    this.#timer = setTimeout(() => {
      // A frozen workload cannot answer; that is no sign of bad health.
      if (this.#workload.state === 'paused') this.#schedule();
      else this.#ctx.background('health check', () => this.#check());
    }, delay);
  }

  async #check(): Promise<void> {
    const start = new Date().toISOString();
    const { exitCode, output } = await this.#probe();
    if (this.#stopped) return;
    this.#record({ start, end: new Date().toISOString(), exitCode, output });
    this.#schedule();
  }

  #record(probe: Probe): void {
    const before = this.#status;
    const log = [...before.log, probe].slice(-KEPT_PROBES);
    if (probe.exitCode === 0) {
      this.#status = { status: 'healthy', failingStreak: 0, log };
    } else if (this.#starting()) {
      this.#status = { ...before, log };
    } else {
      const failingStreak = before.failingStreak + 1;
      const status = failingStreak >= this.#spec.retries ? 'unhealthy' : before.status;
      this.#status = { status, failingStreak, log };
    }
    if (this.#status.status !== before.status)
      this.#ctx.events.publish(this.#workload.event(`health_status: ${this.#status.status}`));
  }

  #exceeded() {
    const output = `Health check exceeded timeout (${this.#spec.timeoutMs / 1000}s)`;
    return { exitCode: NO_EXIT, output };
  }

  async #probe(): Promise<{ exitCode: number; output: string }> {
    const exec = this.#workload.instance?.exec;
    if (exec === undefined) return { exitCode: NO_EXIT, output: 'this isolation cannot run a health check' };
    const late = Promise.withResolvers<'late'>();
    const timer = setTimeout(() => late.resolve('late'), this.#spec.timeoutMs);
    try {
      const running = exec.run(healthProcess(this.#workload, this.#spec));
      const process = await Promise.race([running, late.promise]);
      if (process === 'late') {
        // The probe's process may still start: it is abandoned then.
        running.then(abandon, () => {});
        return this.#exceeded();
      }
      process.input.end();
      const output = collect(process.output);
      const exit = await Promise.race([process.exit, late.promise]);
      if (exit !== 'late') return { exitCode: exit.code, output: await output };
      abandon(process);
      return this.#exceeded();
    } catch (error) {
      return { exitCode: NO_EXIT, output: errorMessage(error) };
    } finally {
      clearTimeout(timer);
    }
  }
}

function abandon(process: ExecProcess): void {
  process.kill(9).catch(() => {});
  process.close();
}

function healthProcess(workload: Workload, spec: HealthSpec): ProcessSpec {
  const { instance, config } = workload.record;
  const [form, ...rest] = spec.test;
  const args = form === 'CMD-SHELL' ? [...config.shell, ...rest] : rest;
  return { ...instance.process, args, tty: false, stdin: false };
}

/** The first bytes of both streams as text; reads to the end, so that the command is never held back. */
async function collect(output: AsyncIterable<Buffer>): Promise<string> {
  const decoder = new FrameDecoder();
  const parts: Buffer[] = [];
  let total = 0;
  try {
    for await (const chunk of output) {
      for (const { type, payload } of decoder.push(chunk)) {
        if ((type !== FRAME.stdout && type !== FRAME.stderr) || total >= MAX_OUTPUT_BYTES) continue;
        parts.push(Buffer.from(payload.subarray(0, MAX_OUTPUT_BYTES - total)));
        total += payload.length;
      }
    }
  } catch {
    // Cut off: what came so far is all there is.
  }
  return Buffer.concat(parts).toString();
}
