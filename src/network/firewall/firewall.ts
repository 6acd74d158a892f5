// The tables of one daemon, kept true to the networks and workloads that it says there are.

import { BerthError } from '../../core/index.ts';
import type { Nft } from '../../host/index.ts';
import { familyOf } from './address-classes.ts';
import { type Change, type Declaration, formatChanges, NOTHING } from './declaration.ts';
import { declareNetwork } from './declare-network.ts';
import { declareWorkload, isEverywhere } from './declare-workload.ts';
import { formatRemoval, formatRuleset } from './ruleset.ts';
import type { FirewallNetwork, FirewallWorkload } from './types.ts';

/** Each object as it was given: one that is the same object has not changed. */
interface State {
  readonly networks: ReadonlyMap<string, FirewallNetwork>;
  readonly workloads: ReadonlyMap<string, FirewallWorkload>;
}

const NO_STATE: State = { networks: new Map(), workloads: new Map() };

/**
 * Each method resolves when its change is in force; changes come in the order of the calls, each a transaction. When
 * the tables are not what they were left as (somebody flushed them), they are made anew as a whole.
 */
export class Firewall {
  readonly #nft: Nft;
  readonly #table: string;
  #state = NO_STATE;
  /** By `network ID`, `workload ID`: what is in the tables. */
  #declared: ReadonlyMap<string, Declaration> = new Map();
  #last: Promise<unknown> = Promise.resolve();

  constructor(nft: Nft, table: string) {
    this.#nft = nft;
    this.#table = table;
  }

  /** Puts tables with exactly these in place of what is there. Established connections go on. */
  async rebuild(networks: readonly FirewallNetwork[], workloads: readonly FirewallWorkload[]): Promise<void> {
    await this.#inTurn(async () => {
      const state = { networks: byId(networks), workloads: byId(workloads) };
      await this.#replace(state, declare(state, NO_STATE, new Map()));
    });
  }

  /** Adds a network or changes it. */
  async setNetwork(network: FirewallNetwork): Promise<void> {
    await this.#change(({ networks, workloads }) => ({
      networks: new Map(networks).set(network.id, network),
      workloads,
    }));
  }

  /** Nothing when there is none. */
  async removeNetwork(id: string): Promise<void> {
    await this.#change(({ networks, workloads }) => ({ networks: without(networks, id), workloads }));
  }

  /**
   * Adds a workload or changes it; its networks are there. To be called before its interfaces are plugged in. Fails with
   * `conflict` when a port is published already.
   */
  async setWorkload(workload: FirewallWorkload): Promise<void> {
    await this.#change(({ networks, workloads }) => {
      checkPorts(workload, workloads);
      return { networks, workloads: new Map(workloads).set(workload.id, workload) };
    });
  }

  /** Nothing when there is none. */
  async removeWorkload(id: string): Promise<void> {
    await this.#change(({ networks, workloads }) => ({ networks, workloads: without(workloads, id) }));
  }

  /** Removes all that was made, by whichever daemon of this name. */
  async uninstall(): Promise<void> {
    await this.#inTurn(async () => {
      await this.#nft.apply(formatRemoval(this.#table));
      this.#state = NO_STATE;
      this.#declared = new Map();
    });
  }

  async #change(next: (state: State) => State): Promise<void> {
    await this.#inTurn(async () => {
      const state = next(this.#state);
      const declared = declare(state, this.#state, this.#declared);
      const commands = formatChanges(this.#table, changesBetween(this.#declared, declared));
      try {
        await this.#nft.apply(commands);
      } catch {
        // The tables are not what they were left as, or the change is wrong: then this fails, too.
        return await this.#replace(state, declared);
      }
      this.#state = state;
      this.#declared = declared;
    });
  }

  async #replace(state: State, declared: ReadonlyMap<string, Declaration>): Promise<void> {
    const changes = changesBetween(new Map(), declared);
    await this.#nft.apply([...formatRuleset(this.#table), ...formatChanges(this.#table, changes)]);
    this.#state = state;
    this.#declared = declared;
  }

  async #inTurn(work: () => Promise<void>): Promise<void> {
    const turn = this.#last.then(work);
    this.#last = turn.catch(() => {});
    await turn;
  }
}

/** What has not changed since `before` is taken from there. */
function declare(
  { networks, workloads }: State,
  before: State,
  declared: ReadonlyMap<string, Declaration>,
): Map<string, Declaration> {
  const result = new Map<string, Declaration>();
  for (const [id, network] of networks) {
    const known = before.networks.get(id) === network ? declared.get(`network ${id}`) : undefined;
    result.set(`network ${id}`, known ?? declareNetwork(network));
  }
  for (const [id, workload] of workloads) {
    const known = before.workloads.get(id) === workload ? declared.get(`workload ${id}`) : undefined;
    result.set(`workload ${id}`, known ?? declareWorkload(workload));
  }
  return result;
}

function changesBetween(
  before: ReadonlyMap<string, Declaration>,
  after: ReadonlyMap<string, Declaration>,
): Change[] {
  return [...new Set([...before.keys(), ...after.keys()])]
    .filter((key) => before.get(key) !== after.get(key))
    .map((key) => ({ before: before.get(key) ?? NOTHING, after: after.get(key) ?? NOTHING }));
}

/** Refuses what two would publish, and what leads from one family to the other. */
function checkPorts(workload: FirewallWorkload, others: ReadonlyMap<string, FirewallWorkload>): void {
  const owners = new Map(
    [...others.values()]
      .filter(({ id }) => id !== workload.id)
      .flatMap(({ name, published }) => published.map((port) => [formatPublished(port), name] as const)),
  );
  for (const port of workload.published) {
    const owner = owners.get(formatPublished(port));
    if (owner !== undefined)
      throw new BerthError('conflict', `port ${formatPublished(port)} is published by ${owner}`);
    if (!isEverywhere(port.hostAddress) && familyOf(port.hostAddress) !== familyOf(port.address))
      throw new BerthError(
        'invalid-argument',
        `port ${formatPublished(port)} cannot lead to ${port.address}: both must be IPv4 or both IPv6`,
      );
  }
}

function formatPublished({
  protocol,
  hostAddress,
  hostPort,
  address,
}: FirewallWorkload['published'][number]) {
  const everywhere = familyOf(address) === 4 ? '0.0.0.0' : '[::]';
  const host = isEverywhere(hostAddress) ? everywhere : hostAddress;
  return `${host.includes(':') && !host.startsWith('[') ? `[${host}]` : host}:${hostPort}/${protocol}`;
}

function byId<Item extends { readonly id: string }>(items: readonly Item[]): Map<string, Item> {
  return new Map(items.map((item) => [item.id, item]));
}

function without<Value>(map: ReadonlyMap<string, Value>, key: string): Map<string, Value> {
  return new Map([...map].filter(([other]) => other !== key));
}
