// A plan of steps, done one after the other, with a forecast of what is left.

import { BerthError } from '../core/index.ts';
import type { CompareProgress } from '../wire/compare.ts';

export interface Step {
  /** Steps of one kind take about the same time. */
  readonly kind: string;
  readonly phase: string;
  readonly label: string;
  /** Before any step of this kind was done; in milliseconds. */
  readonly expectedMs: number;
  readonly run: () => Promise<void>;
}

/** What steps of a kind take: the mean of those done, or else what was expected. */
export function remainingMs(
  steps: readonly Step[],
  done: number,
  spent: ReadonlyMap<string, readonly number[]>,
): number {
  return steps.slice(done).reduce((sum, step) => {
    const seen = spent.get(step.kind) ?? [];
    const mean = seen.reduce((total, ms) => total + ms, 0) / seen.length;
    return sum + (seen.length === 0 ? step.expectedMs : mean);
  }, 0);
}

/** Does all steps in order, telling before each. Fails with `cancelled` between steps once the signal is aborted. */
export async function runSteps(
  steps: readonly Step[],
  onProgress: (progress: CompareProgress) => void,
  signal: AbortSignal | undefined,
): Promise<void> {
  const begun = performance.now();
  const spent = new Map<string, number[]>();
  const tell = (done: number, { phase, label }: Pick<Step, 'phase' | 'label'>) =>
    onProgress({
      done,
      total: steps.length,
      phase,
      label,
      elapsedMs: Math.round(performance.now() - begun),
      remainingMs: Math.round(remainingMs(steps, done, spent)),
    });
  for (const [index, step] of steps.entries()) {
    if (signal?.aborted) throw new BerthError('cancelled', 'the comparison was cancelled');
    tell(index, step);
    const start = performance.now();
    await step.run();
    const seen = spent.get(step.kind) ?? [];
    spent.set(step.kind, [...seen, performance.now() - start]);
  }
  tell(steps.length, { phase: 'done', label: 'done' });
}
