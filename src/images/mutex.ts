// Changes one after another.

export class Mutex {
  #last: Promise<unknown> = Promise.resolve();

  /** Runs `action` when all earlier ones ended, however they ended. */
  run<T>(action: () => Promise<T> | T): Promise<T> {
    const result = this.#last.then(action);
    this.#last = result.catch(() => {});
    return result;
  }
}
