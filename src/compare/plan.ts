// The steps of a comparison in their order. Runs of the isolations take turns; the first of each kind is a warm-up.

import type { Image, ImageStore, Isolation } from '../core/index.ts';
import type { Book } from './book.ts';
import { checkDeployment, type Deployment, deploy, recordDeployment } from './deploy.ts';
import { Lab } from './lab.ts';
import { gatherInside, gatherOutside, readBootId, withCanary } from './observe/evidence.ts';
import { recordDisk, recordIdle, recordMemory, recordNext } from './observe/footprint.ts';
import { HostBench, JOB_NAMES, JOBS, runJob } from './observe/jobs.ts';
import { recordContainerPanic, recordPanic } from './observe/panic.ts';
import type { Session, VmBoot } from './session.ts';
import { interleave } from './statistics.ts';
import type { Step } from './steps.ts';
import type { Command } from './subject.ts';
import { VmStarts } from './vm-starts.ts';

/** A program that still runs after this long is a service; a VM is given its boot on top. */
const SERVICE_AFTER_MS: Readonly<Record<Isolation, number>> = { container: 10_000, vm: 30_000 };
const EXPECTED_MS: Readonly<Record<Isolation, number>> = { container: 120, vm: 1000 };
const EXPECTED_BOOT_MS: Readonly<Record<VmBoot, number>> = { cold: 3500, fork: EXPECTED_MS.vm, pool: 500 };
/** Runs of VMs that come up in another way than most: at most this many. */
const MOST_EXTRA = 3;
/** Stops and jobs repeat less often than deployments, as they vary less: half as often, but three times if it may be. */
const fewer = (runs: number) => Math.min(runs, Math.max(3, Math.floor(runs / 2)));
const EXECS = 5;

const NAMES: Readonly<Record<Isolation, string>> = { container: 'container', vm: 'VM' };

export interface PlanInputs {
  readonly session: Session;
  readonly book: Book;
  readonly images: ImageStore;
  readonly image: Image;
  readonly command: Command;
  readonly isolations: readonly Isolation[];
  readonly runs: Readonly<Record<Isolation, number>>;
  readonly benchPath: string;
  readonly stateDir: string;
}

type PlainStep = Omit<Step, 'phase'>;

export class Plan {
  readonly #in: PlanInputs;
  readonly #labs = new Map<Isolation, Lab>();
  readonly #seconds = new Map<Isolation, Lab>();
  readonly #warm = new Map<Isolation, Deployment>();
  readonly #host: HostBench;
  readonly #vmStarts: VmStarts;

  constructor(inputs: PlanInputs) {
    this.#in = inputs;
    this.#vmStarts = new VmStarts(inputs.session, inputs.book);
    this.#host = new HostBench(inputs.benchPath, inputs.stateDir);
  }

  /** Isolations whose command did not end by itself. */
  get services(): readonly Isolation[] {
    return this.#in.isolations.filter((isolation) => this.#isService(isolation));
  }

  /** Why VMs booted instead of being forked, where they did. */
  get whyCold(): string | undefined {
    return this.#vmStarts.whyCold;
  }

  /** Exit codes other than 0 seen in the warm-up. */
  get exitCodes(): readonly { readonly isolation: Isolation; readonly code: number }[] {
    return [...this.#warm].flatMap(([isolation, { exit }]) =>
      exit === undefined || exit.code === 0 ? [] : [{ isolation, code: exit.code }],
    );
  }

  steps(): Step[] {
    const phase = (name: string, steps: readonly PlainStep[]): Step[] =>
      steps.map((step) => ({ ...step, phase: name }));
    return [
      ...phase('deploying', this.#deployments()),
      ...phase('starting and stopping', this.#stops()),
      ...phase('watching idle instances', this.#idle()),
      ...phase('working inside', [...this.#jobs(), ...this.#execs()]),
      ...phase('looking for borders', this.#evidence()),
      ...phase('cleaning up', this.#cleanUp()),
      // Last, as machines that wait would be in the way of all else.
      ...phase('taking from the pool', this.#pooled()),
    ];
  }

  #lab(isolation: Isolation, labs = this.#labs): Lab {
    const lab = labs.get(isolation);
    if (lab === undefined) throw new Error(`no ${isolation} is prepared`);
    return lab;
  }

  #each(make: (isolation: Isolation) => PlainStep | PlainStep[]): PlainStep[] {
    return this.#in.isolations.flatMap(make);
  }

  #turns(count: (runs: number) => number): Isolation[] {
    const counts = this.#in.isolations.map((name) => [name, count(this.#in.runs[name])] as const);
    return interleave(new Map(counts));
  }

  #isService(isolation: Isolation): boolean {
    const warm = this.#warm.get(isolation);
    return warm !== undefined && warm.exitMs === undefined;
  }

  #deployments(): PlainStep[] {
    const step = (isolation: Isolation, what: string, warmUp: boolean): PlainStep => ({
      kind: `deploy ${isolation}`,
      label: `${NAMES[isolation]}: ${what}`,
      expectedMs: EXPECTED_MS[isolation],
      run: () => this.#deploy(isolation, warmUp),
    });
    const { runs, isolations } = this.#in;
    const counts = new Map<Isolation | 'cold', number>(isolations.map((name) => [name, runs[name]]));
    if (isolations.includes('vm')) counts.set('cold', this.#extraRuns);
    const seen = new Map<string, number>();
    const turns = interleave(counts).map((kind) => {
      const number = (seen.get(kind) ?? 0) + 1;
      seen.set(kind, number);
      return kind === 'cold'
        ? this.#extra('cold', number)
        : step(kind, `run ${number} of ${runs[kind]}`, false);
    });
    return [...this.#each((isolation) => step(isolation, 'warm-up run', true)), ...turns];
  }

  get #extraRuns(): number {
    return Math.min(MOST_EXTRA, this.#in.runs.vm);
  }

  #extra(boot: 'cold' | 'pool', number: number): PlainStep {
    const how = boot === 'cold' ? 'booted cold' : 'from the pool';
    return {
      kind: `deploy ${boot}`,
      label: `VM ${how}: ${number === 0 ? 'warm-up run' : `run ${number} of ${this.#extraRuns}`}`,
      expectedMs: EXPECTED_BOOT_MS[boot],
      run: async () => {
        if (this.#isService('vm'))
          return this.#in.book.unknown(`deploy.exit-${boot}`, 'vm', 'the command did not end by itself');
        if (number === 0) return void (await this.#run('vm', boot));
        if (boot === 'pool') await this.#vmStarts.untilWaiting();
        await this.#vmStarts.extra(boot, (way) => this.#run('vm', way));
      },
    };
  }

  /** The warm-up asks for a VM that waits; each run takes over the one that the run before it has asked for. */
  #pooled(): PlainStep[] {
    if (!this.#in.isolations.includes('vm')) return [];
    return Array.from({ length: this.#extraRuns + 1 }, (_, number) => this.#extra('pool', number));
  }

  async #run(isolation: Isolation, boot?: VmBoot): Promise<Deployment> {
    const { entrypoint, command: words } = this.#in.command;
    const change = { ...(entrypoint && { entrypoint }), ...(words && { command: words }) };
    const service = this.#isService(isolation);
    const silent = service && this.#warm.get(isolation)?.firstOutputMs === undefined;
    const serviceAfterMs = silent ? 0 : SERVICE_AFTER_MS[isolation];
    const how = { change, serviceAfterMs, service, ...(boot && { boot }) };
    const run = await deploy(this.#in.session, isolation, how);
    checkDeployment(isolation, run);
    return run;
  }

  async #deploy(isolation: Isolation, warmUp: boolean): Promise<void> {
    const deployVm = (boot: VmBoot) => this.#run('vm', boot);
    if (warmUp) {
      const run = isolation === 'vm' ? await this.#vmStarts.warmUp(deployVm) : await this.#run(isolation);
      this.#warm.set(isolation, run);
      return;
    }
    const run = isolation === 'vm' ? await this.#vmStarts.main(deployVm) : await this.#run(isolation);
    if (run !== undefined) recordDeployment(this.#in.book, isolation, run, SERVICE_AFTER_MS[isolation]);
  }

  #stops(): PlainStep[] {
    const { session, book, benchPath } = this.#in;
    const prepare = this.#each((isolation) => ({
      kind: `prepare ${isolation}`,
      label: `${NAMES[isolation]}: put the workbench in`,
      expectedMs: EXPECTED_MS[isolation] * 1.3,
      run: async () => void this.#labs.set(isolation, await Lab.create(session, isolation, { benchPath })),
    }));
    const stops = this.#turns(fewer).map((isolation) => ({
      kind: `stop ${isolation}`,
      label: `${NAMES[isolation]}: start and stop`,
      expectedMs: EXPECTED_MS[isolation],
      run: async () => {
        await this.#lab(isolation).start();
        book.sample('deploy.stop', isolation, await this.#lab(isolation).stop());
      },
    }));
    const start = this.#each((isolation) => this.#start(isolation, () => this.#lab(isolation)));
    return [...prepare, ...stops, ...start];
  }

  #start(isolation: Isolation, lab: () => Lab): PlainStep {
    return {
      kind: `start ${isolation}`,
      label: `${NAMES[isolation]}: start`,
      expectedMs: EXPECTED_MS[isolation],
      run: () => lab().start(),
    };
  }

  #idle(): PlainStep[] {
    const { session, book, benchPath, images, image } = this.#in;
    const { engine } = session;
    const memory = {
      kind: 'idle',
      label: 'memory, disk and processor of idle instances',
      expectedMs: 3500,
      run: async () => {
        await recordIdle(book, engine, [...this.#labs.values()]);
        for (const lab of this.#labs.values()) {
          await recordMemory(book, engine, lab);
          await recordDisk(book, engine, lab, { images, image });
        }
      },
    };
    const second = this.#each((isolation) => [
      {
        kind: `prepare ${isolation}`,
        label: `${NAMES[isolation]}: prepare a second one`,
        expectedMs: EXPECTED_MS[isolation] * 1.3,
        run: async () =>
          void this.#seconds.set(isolation, await Lab.create(session, isolation, { benchPath })),
      },
      this.#start(isolation, () => this.#lab(isolation, this.#seconds)),
    ]);
    const next = {
      kind: 'next',
      label: 'memory of a further instance',
      expectedMs: 100,
      run: async () => {
        for (const [isolation, lab] of this.#labs)
          await recordNext(book, engine, lab, this.#lab(isolation, this.#seconds));
      },
    };
    return [memory, ...second, next];
  }

  #jobs(): PlainStep[] {
    const { book, runs, isolations } = this.#in;
    const rounds = fewer(Math.min(...isolations.map((isolation) => runs[isolation])));
    const round = (number: number): PlainStep[] =>
      JOB_NAMES.map((job) => ({
        kind: `job ${job}`,
        label: number === 0 ? `${JOBS[job]}: warm-up` : `${JOBS[job]}: round ${number} of ${rounds}`,
        expectedMs: isolations.includes('vm') ? 1200 : 250,
        run: async () => {
          // Each place comes first in turn, so that none always follows the same one.
          const places = [this.#host, ...this.#labs.values()];
          const first = number % places.length;
          for (const place of [...places.slice(first), ...places.slice(0, first)])
            await runJob(book, place, job, { warmUp: number === 0 });
        },
      }));
    return Array.from({ length: rounds + 1 }, (_, number) => round(number)).flat();
  }

  #execs(): PlainStep[] {
    const { book } = this.#in;
    const run = async () => {
      for (let i = 0; i <= EXECS; i++) {
        // The first of each is the warm-up.
        for (const lab of this.#labs.values()) {
          const { tookMs } = await lab.bench(['true']);
          if (i > 0) book.sample('deploy.exec', lab.isolation, tookMs);
        }
      }
    };
    return [{ kind: 'exec', label: 'one more process in each', expectedMs: 600, run }];
  }

  #evidence(): PlainStep[] {
    const { book, benchPath, session } = this.#in;
    const inside = async () => {
      const bootId = await readBootId();
      const places = [this.#host, ...this.#labs.values()];
      await withCanary(benchPath, async (token) => {
        for (const place of places) await gatherInside(book, place, token, bootId);
      });
    };
    const panic = async () => {
      const [victim, sibling] = [this.#seconds.get('vm'), this.#labs.get('vm')];
      if (victim && sibling) await recordPanic(book, session.engine, victim, sibling);
      if (this.#labs.has('container')) recordContainerPanic(book);
    };
    const outside = async () => {
      for (const lab of this.#labs.values()) await gatherOutside(book, session.engine, lab, this.#host);
    };
    return [
      { kind: 'inside', label: 'isolation: what can be seen from inside', expectedMs: 700, run: inside },
      { kind: 'outside', label: 'isolation: what the host sees', expectedMs: 100, run: outside },
      { kind: 'panic', label: 'isolation: panic a throw-away guest', expectedMs: 300, run: panic },
    ];
  }

  #cleanUp(): PlainStep[] {
    const remove = async () => {
      const labs = [...this.#labs.values(), ...this.#seconds.values()];
      await Promise.all(labs.map((lab) => lab.remove()));
    };
    return [{ kind: 'remove', label: 'remove everything', expectedMs: 500, run: remove }];
  }
}
