// Questions about names that are not ours: to upstreams, one after the other. Remembers no answers; upstreams do if they
// like.

import { RCODE } from '../../formats/dns.ts';
import { type Asked, exchange, type Transport } from './exchange.ts';
import type { Upstream } from './resolv-conf.ts';

/** Resolvers answer within milliseconds, or within hundreds when they have to ask others. */
const NEXT_AFTER_MS = 1000;
/** The C libraries wait for five seconds; an answer that comes later is for nobody. */
const GIVE_UP_AFTER_MS = 4500;
/** How long an upstream that did not answer is asked after the others. */
const SLOW_FOR_MS = 30_000;
/** Answers that another upstream may know better. */
const FAILURES: readonly number[] = [
  RCODE.serverFailure,
  RCODE.notImplemented,
  RCODE.refused,
  RCODE.formatError,
];

export class Forwarder {
  readonly #slowUntil = new Map<string, number>();

  /**
   * The first good answer. The next upstream is asked when one fails or says nothing for a second, and may still answer;
   * by UDP each is asked twice, as datagrams get lost. Without a good answer: a bad one, or undefined.
   */
  async ask(
    query: Asked,
    upstreams: readonly Upstream[],
    transport: Transport,
    signal: AbortSignal,
  ): Promise<Asked | undefined> {
    const end = new AbortController();
    const race = new Race(this.#order(upstreams, transport), (upstream) => this.#noteSlow(upstream));
    const giveUp = setTimeout(() => race.finish(), GIVE_UP_AFTER_MS);
    const abort = () => race.finish();
    signal.addEventListener('abort', abort, { once: true });
    if (signal.aborted) race.finish();
    try {
      return await race.run((upstream) => exchange(upstream, query, transport, end.signal));
    } finally {
      clearTimeout(giveUp);
      signal.removeEventListener('abort', abort);
      end.abort();
    }
  }

  #order(all: readonly Upstream[], transport: Transport): Upstream[] {
    const now = performance.now();
    for (const [key, until] of this.#slowUntil) if (until <= now) this.#slowUntil.delete(key);
    const isSlow = (upstream: Upstream) => this.#slowUntil.has(keyOf(upstream));
    const once = [...all.filter((upstream) => !isSlow(upstream)), ...all.filter(isSlow)];
    return transport === 'udp' ? [...once, ...once] : once;
  }

  #noteSlow(upstream: Upstream): void {
    this.#slowUntil.set(keyOf(upstream), performance.now() + SLOW_FOR_MS);
  }
}

const keyOf = ({ address, port }: Upstream): string => `${address} ${port}`;

/** Attempts that overlap, until one is good or none is left. */
class Race {
  readonly #done = Promise.withResolvers<Asked | undefined>();
  readonly #noteSlow: (upstream: Upstream) => void;
  #waiting: Upstream[];
  #running = 0;
  #bad: Asked | undefined;
  #timer: NodeJS.Timeout | undefined;
  #finished = false;

  constructor(order: Upstream[], noteSlow: (upstream: Upstream) => void) {
    this.#waiting = order;
    this.#noteSlow = noteSlow;
  }

  async run(attempt: (upstream: Upstream) => Promise<Asked>): Promise<Asked | undefined> {
    this.#next(attempt);
    return await this.#done.promise;
  }

  finish(answer?: Asked): void {
    this.#finished = true;
    clearTimeout(this.#timer);
    this.#done.resolve(answer ?? this.#bad);
  }

  #next(attempt: (upstream: Upstream) => Promise<Asked>): void {
    if (this.#finished) return;
    clearTimeout(this.#timer);
    const upstream = this.#waiting.shift();
    if (upstream === undefined) {
      if (this.#running === 0) this.finish();
      return;
    }
    this.#running++;
    this.#timer = setTimeout(() => {
      this.#noteSlow(upstream);
      this.#next(attempt);
    }, NEXT_AFTER_MS);
    const failed = (answer?: Asked) => {
      this.#bad ??= answer;
      this.#running--;
      // It would say the same again.
      this.#waiting = this.#waiting.filter((other) => keyOf(other) !== keyOf(upstream));
      this.#next(attempt);
    };
    attempt(upstream).then(
      (answer) => (FAILURES.includes(answer.message.rcode) ? failed(answer) : this.finish(answer)),
      () => failed(),
    );
  }
}
