// Folders on their way out: moved aside in an instant, deleted when nobody waits.

import { randomBytes } from 'node:crypto';
import { mkdir, readdir, readFile, rename, rm } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { errorMessage } from '../core/index.ts';

const CLOSE_LIMIT_MS = 2_000;

export class Trash {
  readonly #root: string;
  readonly #log: (line: string) => void;
  readonly #pending: string[] = [];
  #emptying: Promise<void> | undefined;
  #closed = false;

  private constructor(root: string, log: (line: string) => void) {
    this.#root = root;
    this.#log = log;
  }

  /** Takes up what an earlier daemon left. */
  static async open(root: string, log: (line: string) => void): Promise<Trash> {
    const trash = new Trash(root, log);
    await mkdir(root, { recursive: true, mode: 0o700 });
    for (const name of await readdir(root)) trash.#add(join(root, name));
    return trash;
  }

  /** Resolves when the folder is no longer where it was; it must be on the file system of the trash. */
  async discard(folder: string): Promise<void> {
    const path = join(this.#root, `${basename(folder)}-${randomBytes(4).toString('hex')}`);
    await rename(folder, path);
    this.#add(path);
  }

  /** Deletes what can be deleted in a moment; the rest waits for the next daemon. */
  async close(): Promise<void> {
    const settled = async () => {
      while (this.#emptying !== undefined) await this.#emptying;
    };
    await Promise.race([settled(), delay(CLOSE_LIMIT_MS, undefined, { ref: false })]);
    this.#closed = true;
  }

  #add(path: string): void {
    this.#pending.push(path);
    this.#emptying ??= this.#empty().finally(() => {
      this.#emptying = undefined;
    });
  }

  /** One folder after the other: deleting is never worth slowing a start. */
  async #empty(): Promise<void> {
    while (this.#pending.length > 0 && !this.#closed) {
      const batch = this.#pending.splice(0);
      const mounts = await this.#mountsInside();
      for (const path of batch) {
        const mount = mounts.find((point) => point === path || point.startsWith(`${path}/`));
        if (this.#closed) return;
        // Deleting through a mount would delete what is mounted, which may be a folder of the user's.
        if (mount !== undefined) this.#log(`${path} is kept: ${mount} is still mounted`);
        else await this.#delete(path);
      }
    }
  }

  async #delete(path: string): Promise<void> {
    try {
      await rm(path, { recursive: true, force: true, maxRetries: 2 });
    } catch (error) {
      this.#log(`cannot delete ${path}, left for the next start: ${errorMessage(error)}`);
    }
  }

  async #mountsInside(): Promise<string[]> {
    const table = await readFile('/proc/self/mountinfo', 'utf8');
    return table
      .split('\n')
      .map((line) => unescapeMount(line.split(' ')[4] ?? ''))
      .filter((point) => point.startsWith(this.#root));
  }
}

/** mountinfo writes blanks and the like as three octal digits. */
function unescapeMount(text: string): string {
  return text.replaceAll(/\\([0-7]{3})/g, (_, digits: string) =>
    String.fromCharCode(Number.parseInt(digits, 8)),
  );
}
