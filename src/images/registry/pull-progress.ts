// Progress of one layer, in Docker's words, at a rate that a terminal can follow.

import type { OnProgress } from '../../core/index.ts';

const INTERVAL_MS = 100;

export class LayerProgress {
  readonly #onProgress: OnProgress;
  readonly #id: string;
  readonly #total: number;
  #reportedAt = 0;

  constructor(onProgress: OnProgress, id: string, total: number) {
    this.#onProgress = onProgress;
    this.#id = id;
    this.#total = total;
  }

  say(status: string): void {
    this.#onProgress({ status, id: this.#id, progressDetail: {} });
  }

  /** Reports when the last report is long enough ago, and at the end. */
  advance(status: string, current: number): void {
    const now = performance.now();
    if (current < this.#total && now - this.#reportedAt < INTERVAL_MS) return;
    this.#reportedAt = now;
    this.#onProgress({ status, id: this.#id, progressDetail: { current, total: this.#total } });
  }
}
