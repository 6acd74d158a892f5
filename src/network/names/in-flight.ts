// Questions that wait for an upstream, counted, so that no workload can use up the daemon's descriptors or memory.

const PER_CLIENT = 128;
const ALTOGETHER = 512;

export class InFlight {
  readonly #clients = new Map<string, Set<string>>();
  #total = 0;

  get total(): number {
    return this.#total;
  }

  /** Until the result is disposed. `'full'`: too many wait; `'repeated'`: this one waits already, by its key. */
  enter(client: string, key: string): Disposable | 'full' | 'repeated' {
    const keys = this.#clients.get(client) ?? new Set();
    if (keys.has(key)) return 'repeated';
    if (keys.size >= PER_CLIENT || this.#total >= ALTOGETHER) return 'full';
    this.#clients.set(client, keys.add(key));
    this.#total++;
    return {
      [Symbol.dispose]: () => {
        this.#total--;
        keys.delete(key);
        if (keys.size === 0) this.#clients.delete(client);
      },
    };
  }
}
