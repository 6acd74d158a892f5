// Notice of changes of a log, from the kernel.

import { type FSWatcher, watch } from 'node:fs';
import { basename, dirname } from 'node:path';

/** Wakes whoever waits when the log is written or rotated, or when told to. Nothing that happens between two waits is lost. */
export class LogWatch implements Disposable {
  readonly #watcher: FSWatcher;
  #changed = false;
  #wake: (() => void) | undefined;

  constructor(path: string) {
    const name = basename(path);
    // The folder, not the file: rotation gives its name to another file.
    this.#watcher = watch(dirname(path), { persistent: false }, (_event, changed) => {
      if (changed === null || changed.startsWith(name)) this.notify();
    });
    // The folder goes when the workload is removed; whoever removes it ends the wait too.
    this.#watcher.on('error', () => this.notify());
  }

  notify(): void {
    this.#changed = true;
    this.#wake?.();
  }

  async changed(): Promise<void> {
    if (!this.#changed)
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    this.#changed = false;
    this.#wake = undefined;
  }

  [Symbol.dispose](): void {
    this.#watcher.close();
  }
}
