// Where everything half done lives: content is made here and renamed to its place, and what is to be deleted is
// renamed to here first. So what stands in its place is whole, and what a crash left is here and nowhere else.

import { randomBytes } from 'node:crypto';
import { renameSync } from 'node:fs';
import { mkdir, readdir, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';

export class WorkFolder {
  readonly #path: string;
  /** Deletions under way. */
  readonly #pending = new Set<Promise<void>>();

  private constructor(path: string) {
    this.#path = path;
  }

  /** Opens the folder `work` in `root`, and deletes in the background what an earlier daemon left in it. */
  static async open(root: string): Promise<WorkFolder> {
    await mkdir(root, { recursive: true, mode: 0o700 });
    const old = (await readdir(root)).filter((name) => name.startsWith('work-old-'));
    const path = join(root, 'work');
    const aside = join(root, `work-old-${randomBytes(6).toString('hex')}`);
    await rename(path, aside).then(
      () => old.push(aside.slice(root.length + 1)),
      (error: NodeJS.ErrnoException) => {
        if (error.code !== 'ENOENT') throw error;
      },
    );
    await mkdir(path, { mode: 0o700 });
    const folder = new WorkFolder(path);
    for (const name of old) folder.#delete(join(root, name));
    return folder;
  }

  /** A path in it that is not yet taken. */
  fresh(kind: string): string {
    return join(this.#path, `${kind}-${randomBytes(8).toString('hex')}`);
  }

  /** Takes the file or folder out of its place at once, and deletes it in the background. */
  discard(path: string): void {
    const aside = this.fresh('trash');
    try {
      renameSync(path, aside);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return;
      throw error;
    }
    this.#delete(aside);
  }

  /** Resolves when all deletions begun so far are done. */
  async settled(): Promise<void> {
    await Promise.all(this.#pending);
  }

  #delete(path: string): void {
    // What cannot be deleted now is deleted at the next start.
    const done = rm(path, { recursive: true, force: true }).catch(() => {});
    this.#pending.add(done);
    void done.then(() => this.#pending.delete(done));
  }
}
