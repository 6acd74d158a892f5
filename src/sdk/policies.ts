// Policies of workloads and networks: whom they may reach, and who may reach them.

import type { Transport } from './transport.ts';

export interface PolicyTarget {
  readonly kind: 'workload' | 'network';
  /** Name or id. */
  readonly name: string;
}

export interface TrafficFigures {
  readonly packets: number;
  readonly bytes: number;
}

/** What the firewall counted of an interface since it was plugged in, as the workload sees it. */
export type PolicyCounters = Readonly<
  Record<'received' | 'sent' | 'deniedIn' | 'deniedOut' | 'spoofed', TrafficFigures>
>;

export interface PolicyView {
  readonly kind: 'workload' | 'network';
  readonly id: string;
  readonly name: string;
  /** In order: the first that matches decides. */
  readonly rules: readonly string[];
  /** By interface, of a workload that runs; not in lists. */
  readonly counters?: Readonly<Record<string, PolicyCounters>>;
}

export class Policies {
  readonly #http: Transport;

  constructor(http: Transport) {
    this.#http = http;
  }

  /** Of those that have one. */
  list(): Promise<PolicyView[]> {
    return this.#http.json('GET', '/berth/v1/policies');
  }

  get(target: PolicyTarget): Promise<PolicyView> {
    return this.#http.json('GET', at(target));
  }

  /** In force when it resolves. Fails with `invalid-argument`, showing the rule that is wrong. */
  async set(target: PolicyTarget, rules: readonly string[]): Promise<void> {
    await this.#http.send('PUT', at(target), { json: { rules } });
  }

  /** The default again. */
  async unset(target: PolicyTarget): Promise<void> {
    await this.#http.send('DELETE', at(target));
  }
}

const at = ({ kind, name }: PolicyTarget) => `/berth/v1/policies/${kind}/${encodeURIComponent(name)}`;
