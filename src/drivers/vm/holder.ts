// A machine without a process, booted to reach the files of a stopped instance. A guest's file system is never mounted
// on the host: a kernel that trusts what a guest wrote to a disk can be taken over by it.

import type { ShimClient, ShimConnection } from '../../guest/index.ts';
import type { Mutex } from '../../host/index.ts';

/** After the last use it is kept this long: one `cp` asks twice. */
const LINGER_MS = 2000;

/** `open` and `end` are called by whoever has the turn of the instance's shims. */
export class Holder {
  readonly #launch: () => Promise<ShimClient>;
  readonly #turn: Mutex;
  #held: ShimClient | undefined;
  #users = 0;
  #timer: NodeJS.Timeout | undefined;

  constructor(launch: () => Promise<ShimClient>, turn: Mutex) {
    this.#launch = launch;
    this.#turn = turn;
  }

  /** A connection to the held machine, booted if need be. */
  async open(): Promise<{ readonly connection: ShimConnection; release(): void }> {
    clearTimeout(this.#timer);
    this.#users++;
    try {
      const connection = await (this.#held ?? (await this.#boot())).connect();
      return { connection, release: once(() => this.#release()) };
    } catch (error) {
      this.#release();
      throw error;
    }
  }

  async #boot(): Promise<ShimClient> {
    const client = await this.#launch();
    try {
      await client.hold({});
    } catch (error) {
      client.close();
      await client.ended();
      throw error;
    }
    this.#held = client;
    void client.gone.then(() => {
      if (this.#held === client) this.#held = undefined;
    });
    return client;
  }

  #release(): void {
    this.#users--;
    if (this.#users > 0) return;
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => void this.#turn.run(() => this.#expire()).catch(() => {}), LINGER_MS);
    this.#timer.unref();
  }

  /** Somebody may have come meanwhile. */
  async #expire(): Promise<void> {
    if (this.#users === 0) await this.end();
  }

  /** Ends the machine, if there is one, and resolves when its disk is free again. */
  async end(): Promise<void> {
    clearTimeout(this.#timer);
    const held = this.#held;
    this.#held = undefined;
    await held?.quit();
  }
}

function once(action: () => void): () => void {
  let done = false;
  return () => {
    if (!done) action();
    done = true;
  };
}
