// The comparison's progress: a bar that is redrawn on a terminal, a line per phase elsewhere.

import type { CompareProgress } from '../wire/compare.ts';
import type { Output } from './output.ts';

const BAR = 24;

function clock(ms: number): string {
  const seconds = Math.round(ms / 1000);
  return `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, '0')}`;
}

/** One line, at most `columns` wide. Pure. */
export function progressLine(progress: CompareProgress, columns: number): string {
  // By forecast time rather than by steps: a VM's run counts for more than a container's.
  const all = progress.elapsedMs + progress.remainingMs;
  const share = progress.done === progress.total ? 1 : all === 0 ? 0 : progress.elapsedMs / all;
  const full = Math.round(share * BAR);
  const bar = '█'.repeat(full) + '░'.repeat(BAR - full);
  const left = progress.done === 0 ? '' : ` about ${clock(progress.remainingMs)} left`;
  const line = `${bar} ${progress.done}/${progress.total}${left}  ${progress.label}`;
  return line.slice(0, Math.max(20, columns - 1));
}

/** Shows progress on `output` until it is cleared. */
export class ProgressBar {
  readonly #output: Output;
  #phase = '';

  constructor(output: Output) {
    this.#output = output;
  }

  async show(progress: CompareProgress): Promise<void> {
    if (this.#output.isTerminal) {
      await this.#output.write(`\r\x1b[K${progressLine(progress, this.#output.columns || 80)}`);
      return;
    }
    if (progress.phase === this.#phase) return;
    this.#phase = progress.phase;
    await this.#output.line(`${clock(progress.elapsedMs)}  ${progress.phase}`);
  }

  async clear(): Promise<void> {
    if (this.#output.isTerminal) await this.#output.write('\r\x1b[K');
  }
}
