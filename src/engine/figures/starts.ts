// How starts of workloads went, counted since this daemon began.

import type { Isolation } from '../../core/index.ts';

/** Upper bounds of the classes that durations are counted in: from a warm container to a machine that boots emulated. */
export const START_BOUNDS_SECONDS = [0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30] as const;

export interface StartFigures {
  /** Starts that failed; they are not among the durations. */
  readonly failures: number;
  /** Starts of at most that long, by bound; those that took longer than all of them are in `count` alone. */
  readonly within: readonly number[];
  readonly count: number;
  readonly sumSeconds: number;
}

interface Tally {
  failures: number;
  readonly within: number[];
  count: number;
  sumSeconds: number;
}

export class StartCounter {
  readonly #tallies = new Map<Isolation, Tally>();

  #of(isolation: Isolation): Tally {
    const fresh = { failures: 0, within: START_BOUNDS_SECONDS.map(() => 0), count: 0, sumSeconds: 0 };
    const tally = this.#tallies.get(isolation) ?? fresh;
    this.#tallies.set(isolation, tally);
    return tally;
  }

  /** A start that the work stands for: how long it took, or that it failed. */
  async count<T>(isolation: Isolation, work: () => Promise<T>): Promise<T> {
    const tally = this.#of(isolation);
    const began = performance.now();
    try {
      const result = await work();
      const seconds = (performance.now() - began) / 1000;
      for (const [index, bound] of START_BOUNDS_SECONDS.entries())
        if (seconds <= bound) tally.within[index] = (tally.within[index] ?? 0) + 1;
      tally.count++;
      tally.sumSeconds += seconds;
      return result;
    } catch (error) {
      tally.failures++;
      throw error;
    }
  }

  figures(isolation: Isolation): StartFigures {
    const { within, ...tally } = this.#of(isolation);
    return { ...tally, within: [...within] };
  }
}
