// A machine without a process, booted to reach the files of a stopped instance. A guest's file system is never mounted
// on the host: a kernel that trusts what a guest wrote to a disk can be taken over by it.

import type { ShimClient, ShimConnection } from '../../guest/index.ts';

/** After the last use it is kept this long: one `cp` asks twice. */
const LINGER_MS = 2000;

export class Holder {
  readonly #launch: () => Promise<ShimClient>;
  #held: Promise<ShimClient> | undefined;
  #users = 0;
  #timer: NodeJS.Timeout | undefined;

  constructor(launch: () => Promise<ShimClient>) {
    this.#launch = launch;
  }

  get active(): boolean {
    return this.#held !== undefined;
  }

  /** A connection to the held machine, booted if need be. */
  async open(): Promise<{ readonly connection: ShimConnection; release(): void }> {
    clearTimeout(this.#timer);
    this.#users++;
    try {
      this.#held ??= this.#boot();
      const client = await this.#held;
      const connection = await client.connect();
      return { connection, release: once(() => this.#release()) };
    } catch (error) {
      this.#release();
      throw error;
    }
  }

  async #boot(): Promise<ShimClient> {
    try {
      const client = await this.#launch();
      await client.hold({});
      void client.gone.then(() => {
        this.#held = undefined;
      });
      return client;
    } catch (error) {
      this.#held = undefined;
      throw error;
    }
  }

  #release(): void {
    this.#users--;
    if (this.#users > 0) return;
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => void this.end(), LINGER_MS);
    this.#timer.unref();
  }

  /** Ends the machine, if there is one, and resolves when its disk is free again. */
  async end(): Promise<void> {
    clearTimeout(this.#timer);
    const held = this.#held;
    if (held === undefined) return;
    const client = await held.catch(() => undefined);
    await client?.quit();
    this.#held = undefined;
  }
}

function once(action: () => void): () => void {
  let done = false;
  return () => {
    if (!done) action();
    done = true;
  };
}
