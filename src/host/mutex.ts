// One piece of work at a time, in order of asking. It serves the whole tree.

export class Mutex {
  #tail: Promise<unknown> = Promise.resolve();

  /** Runs `work` when all that was asked for before has ended, however it ended. */
  run<T>(work: () => Promise<T> | T): Promise<T> {
    const result = this.#tail.then(work);
    this.#tail = result.catch(() => {});
    return result;
  }
}
