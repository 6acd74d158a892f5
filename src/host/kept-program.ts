// A program that watches something for as long as it is wanted, and is started again when it was killed.

import type { StreamChild } from './process.ts';

const FIRST_DELAY_MS = 1_000;
const LAST_DELAY_MS = 60_000;

export class KeptProgram {
  readonly #start: () => StreamChild;
  readonly #restarted: () => void;
  #child: StreamChild | undefined;
  #timer: NodeJS.Timeout | undefined;
  #delayMs = FIRST_DELAY_MS;

  /**
   * Starts it at once. `start` reads its output and does not let it keep this process alive; `restarted` is called when it
   * runs again: what happened in between went unseen.
   */
  constructor(start: () => StreamChild, restarted: () => void = () => {}) {
    this.#start = start;
    this.#restarted = restarted;
    this.#run();
  }

  close(): void {
    clearTimeout(this.#timer);
    const child = this.#child;
    this.#child = undefined;
    child?.kill('SIGKILL');
  }

  #run(): void {
    const child = this.#start();
    this.#child = child;
    child.exit.then(
      ({ signal }) => {
        // A program that ends by itself does not work on this host: another start would not help.
        if (this.#child === child && signal !== null) this.#again();
      },
      () => {},
    );
  }

  #again(): void {
    this.#timer = setTimeout(() => {
      this.#run();
      this.#restarted();
    }, this.#delayMs);
    this.#timer.unref();
    this.#delayMs = Math.min(2 * this.#delayMs, LAST_DELAY_MS);
  }
}
