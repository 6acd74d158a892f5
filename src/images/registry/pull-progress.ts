// Progress of one layer, in Docker's words, at a rate that a terminal can follow.

import type { OnProgress } from '../../core/index.ts';

const INTERVAL_MS = 100;

export class LayerProgress {
  readonly #onProgress: OnProgress;
  readonly #id: string;
  readonly #total: number;
  #reportedAt = 0;
  #held: NodeJS.Timeout | undefined;

  constructor(onProgress: OnProgress, id: string, total: number) {
    this.#onProgress = onProgress;
    this.#id = id;
    this.#total = total;
  }

  say(status: string): void {
    this.stop();
    this.#onProgress({ status, id: this.#id, progressDetail: {} });
  }

  /** Reports at most once in an interval: at once or at its end, so that a download that stalls shows how far it came. */
  advance(status: string, current: number): void {
    this.stop();
    const report = () => {
      this.#reportedAt = performance.now();
      this.#onProgress({ status, id: this.#id, progressDetail: { current, total: this.#total } });
    };
    const early = INTERVAL_MS - (performance.now() - this.#reportedAt);
    if (current >= this.#total || early <= 0) report();
    else this.#held = setTimeout(report, early).unref();
  }

  /** Nothing is reported afterwards. */
  stop(): void {
    clearTimeout(this.#held);
  }
}
