// What operations under way need and garbage collection must leave alone. In memory only: after a crash nothing is
// under way, and what was half done is garbage.

export class Leases {
  readonly #counts = new Map<string, number>();

  /** Protects the digest until the lease is disposed of. */
  hold(digest: string): void {
    this.#counts.set(digest, (this.#counts.get(digest) ?? 0) + 1);
  }

  release(digest: string): void {
    const left = (this.#counts.get(digest) ?? 0) - 1;
    if (left > 0) this.#counts.set(digest, left);
    else this.#counts.delete(digest);
  }

  has(digest: string): boolean {
    return this.#counts.has(digest);
  }

  /** A group of leases that end together. */
  group(): LeaseGroup {
    return new LeaseGroup(this);
  }
}

export class LeaseGroup implements Disposable {
  readonly #leases: Leases;
  readonly #held = new Set<string>();

  constructor(leases: Leases) {
    this.#leases = leases;
  }

  hold(digest: string): void {
    if (this.#held.has(digest)) return;
    this.#held.add(digest);
    this.#leases.hold(digest);
  }

  [Symbol.dispose](): void {
    for (const digest of this.#held) this.#leases.release(digest);
    this.#held.clear();
  }
}
