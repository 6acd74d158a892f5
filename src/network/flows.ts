// The kernel's memory of flows. The kernel sends each packet of a flow where the first one went, as long as packets
// come, even when the port or the address is another workload's by now.

import { errorMessage, type PublishedPort } from '../core/index.ts';
import { run } from '../host/index.ts';
import { isEverywhere } from './firewall/index.ts';

const TIMEOUT_MS = 10_000;

export class FlowMemory {
  readonly #program: string | undefined;
  readonly #log: (line: string) => void;
  /** The flows that the next run forgets, of all callers: each run reads the whole table. */
  #next: Set<string> | undefined;
  #last: Promise<void> = Promise.resolve();

  /** `program`: berth-shim; without it nothing is forgotten before its time. */
  constructor(program: string | undefined, log: (line: string) => void) {
    this.#program = program;
    this.#log = log;
  }

  /** Forgets flows to these ports of the host, and all flows of these addresses. A failure is logged. */
  async forget(published: readonly PublishedPort[], addresses: readonly string[]): Promise<void> {
    const wishes = [
      ...addresses,
      // TCP begins anew by itself.
      ...published.filter(({ protocol }) => protocol === 'udp').map(wishOf),
    ];
    if (this.#program === undefined || wishes.length === 0) return;
    if (this.#next === undefined) {
      const batch = new Set<string>();
      this.#next = batch;
      this.#last = this.#last.then(() => this.#run(this.#program ?? '', batch));
    }
    for (const wish of wishes) this.#next.add(wish);
    await this.#last;
  }

  async #run(program: string, batch: ReadonlySet<string>): Promise<void> {
    this.#next = undefined;
    await run(program, ['conntrack', ...batch], { timeoutMs: TIMEOUT_MS }).catch((error: unknown) =>
      this.#log(`flows of earlier workloads go on: ${errorMessage(error)}`),
    );
  }
}

function wishOf({ hostAddress, hostPort }: PublishedPort): string {
  return `udp/${isEverywhere(hostAddress) ? '*' : hostAddress}/${hostPort}`;
}
