// How the VMs of a comparison came up: asked for by annotation, and checked by the driver's counters, so that a sample
// counts only if it is of its kind.

import { setTimeout as delay } from 'node:timers/promises';
import { errorMessage, isBerthError } from '../core/index.ts';
import type { Engine } from '../engine/api.ts';
import type { Book } from './book.ts';
import type { Deployment } from './deploy.ts';
import type { Session, VmBoot } from './session.ts';

export interface Counters {
  readonly forked: number;
  readonly booted: number;
  readonly waiting: number;
  readonly hits: number;
}

/** From the driver's facts. Pure. */
export function parseCounters(facts: Readonly<Record<string, string>>): Counters {
  const [, forked, booted] = /^(\d+) forked, (\d+) booted/.exec(facts['starts'] ?? '') ?? [];
  const [, waiting, hits] = /^(\d+) waiting, (\d+) hits/.exec(facts['pool'] ?? '') ?? [];
  const number = (text: string | undefined) => Number(text ?? 0);
  return { forked: number(forked), booted: number(booted), waiting: number(waiting), hits: number(hits) };
}

/** How the one VM that was started in between came up; undefined when it was not one. Pure. */
export function cameUp(before: Counters, after: Counters): VmBoot | undefined {
  const forks = after.forked - before.forked;
  const boots = after.booted - before.booted;
  if (forks + boots !== 1) return undefined;
  if (boots === 1) return 'cold';
  return after.hits > before.hits ? 'pool' : 'fork';
}

const WORDS: Readonly<Record<VmBoot, string>> = {
  cold: 'booted cold',
  fork: 'forked from a template',
  pool: 'taken from the pool',
};
const FILL_TIMEOUT_MS = 15_000;
const LOOK_EVERY_MS = 100;

/** Deploys once. */
export type DeployVm = (boot: VmBoot) => Promise<Deployment>;

export class VmStarts {
  readonly #session: Session;
  readonly #book: Book;
  /** Why VMs of this image are not forked here. */
  #whyCold: string | undefined;

  constructor(session: Session, book: Book) {
    this.#session = session;
    this.#book = book;
  }

  get whyCold(): string | undefined {
    return this.#whyCold;
  }

  /** The first one waits for its template. Where it cannot be forked, all VMs of the session boot from here on. */
  async warmUp(deploy: DeployVm): Promise<Deployment> {
    try {
      const { run, came } = await this.#observe('fork', deploy);
      if (came !== 'cold') return run;
      this.#whyCold = 'a fork was asked for and the driver booted it: see berth info';
    } catch (error) {
      if (!isBerthError(error, 'unsupported') && !isBerthError(error, 'unavailable')) throw error;
      this.#whyCold = errorMessage(error);
    }
    this.#session.vmBoot = 'cold';
    return deploy('cold');
  }

  /** One run for the rows of all deployments; undefined, with the reason in the book, if it is not of their kind. */
  async main(deploy: DeployVm): Promise<Deployment | undefined> {
    const wanted = this.#session.vmBoot;
    const rows = ['deploy.create', 'deploy.first-output', 'deploy.exit', 'deploy.remove', 'deploy.total'];
    for (const row of rows) this.#book.note(row, 'vm', WORDS[wanted]);
    const { run, came } = await this.#observe(wanted, deploy);
    if (came === wanted) return run;
    for (const row of rows) this.#book.unknown(row, 'vm', mismatch(wanted, came));
    return undefined;
  }

  /** One run for the row of those that come up in this way. */
  async extra(boot: 'cold' | 'pool', deploy: DeployVm): Promise<void> {
    const row = `deploy.exit-${boot}`;
    if (this.#whyCold !== undefined) {
      const reason = boot === 'cold' ? 'as start to exit: all VMs booted' : `no fork: ${this.#whyCold}`;
      return this.#book.unknown(row, 'vm', reason);
    }
    const { run, came } = await this.#observe(boot, deploy);
    if (came !== boot) this.#book.unknown(row, 'vm', mismatch(boot, came));
    else if (run.exitMs === undefined) this.#book.unknown(row, 'vm', 'the command did not end by itself');
    else this.#book.sample(row, 'vm', run.exitMs);
  }

  /** Resolves when a VM waits, or after a time in which one should. */
  async untilWaiting(): Promise<void> {
    const deadline = performance.now() + FILL_TIMEOUT_MS;
    while ((await counters(this.#session.engine)).waiting === 0 && performance.now() < deadline)
      await delay(LOOK_EVERY_MS);
  }

  async #observe(boot: VmBoot, deploy: DeployVm): Promise<{ run: Deployment; came: VmBoot | undefined }> {
    const before = await counters(this.#session.engine);
    const run = await deploy(boot);
    return { run, came: cameUp(before, await counters(this.#session.engine)) };
  }
}

async function counters(engine: Engine): Promise<Counters> {
  return parseCounters((await engine.probes()).vm.facts);
}

function mismatch(wanted: VmBoot, came: VmBoot | undefined): string {
  if (came === undefined) return 'other VMs were started meanwhile: how this one came up is not known';
  return `it was to be ${WORDS[wanted]}, but was ${WORDS[came]}`;
}
