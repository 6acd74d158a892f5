// The tables of one daemon, kept true to the networks and workloads that it says there are.

import { randomBytes } from 'node:crypto';
import type { Nft } from '../../host/index.ts';
import { Admissions, admissionOf, formatAdmissions } from './admissions.ts';
import { countersOf, type EndpointCounters } from './counters.ts';
import { type Counted, formatChanges } from './declaration.ts';
import { allowersOf, isAdmissible, isAllowedAnyway, mayAskFor } from './names.ts';
import { checkPorts } from './ports.ts';
import { formatRemoval, formatRuleset } from './ruleset.ts';
import { legacyOf, readRows } from './snapshot.ts';
import { changesBetween, NO_STATE, nextState, policiesOf, type State } from './state.ts';
import type { FirewallNetwork, FirewallWorkload, NameQuestion, ResolvedAddress } from './types.ts';
import { type TableWatch, watchTables } from './watch.ts';

const FAMILIES = ['inet', 'bridge'] as const;

/**
 * Each method resolves when its change is in force; changes come in the order of the calls, each a transaction. When
 * the tables are not what they were left as (somebody flushed them), they are made anew as a whole.
 */
export class Firewall {
  readonly #nft: Nft;
  readonly #table: string;
  readonly #admissions = new Admissions();
  #state = NO_STATE;
  /** A set that is in the tables as long as they are those that we made. */
  #seal: string | undefined;
  #last: Promise<unknown> = Promise.resolve();

  constructor(nft: Nft, table: string) {
    this.#nft = nft;
    this.#table = table;
  }

  /**
   * Puts tables with exactly these in place of what is there. Established connections go on, counters count on, and
   * names that were looked up stay allowed.
   */
  async rebuild(networks: readonly FirewallNetwork[], workloads: readonly FirewallWorkload[]): Promise<void> {
    await this.#inTurn(async () => {
      const { admissions, watched, counted } = legacyOf(await readRows(this.#nft, this.#table));
      this.#admissions.add(admissions);
      await this.#replace(nextState({ ...NO_STATE, watched }, byId(networks), byId(workloads)), counted);
    });
  }

  /**
   * From now on the tables are made anew when somebody removes them; `failed` is told why they could not be, `others` the
   * names of other tables that were removed.
   */
  watch(failed: (error: unknown) => void, others: (table: string) => void = () => {}): TableWatch {
    const heal = () => void this.heal().catch(failed);
    return watchTables((table) => (table === this.#table ? heal() : others(table)), heal, failed);
  }

  /** Makes the tables anew if they are not those that were left. */
  async heal(): Promise<void> {
    await this.#inTurn(async () => {
      if (!(await this.#isWhole())) await this.#replace(this.#state);
    });
  }

  /** Adds a network or changes it. */
  async setNetwork(network: FirewallNetwork): Promise<void> {
    await this.#change((state) =>
      nextState(state, new Map(state.networks).set(network.id, network), state.workloads),
    );
  }

  /** Nothing when there is none. */
  async removeNetwork(id: string): Promise<void> {
    await this.#change((state) => nextState(state, without(state.networks, id), state.workloads));
  }

  /**
   * Adds a workload or changes it; its networks are there. To be called before its interfaces are plugged in. Fails with
   * `conflict` when a port is published already.
   */
  async setWorkload(workload: FirewallWorkload): Promise<void> {
    await this.#change((state) => {
      checkPorts(workload, state.workloads);
      return nextState(state, state.networks, new Map(state.workloads).set(workload.id, workload));
    });
  }

  /** Nothing when there is none. */
  async removeWorkload(id: string): Promise<void> {
    await this.#change((state) => nextState(state, state.networks, without(state.workloads, id)));
  }

  /** Whether a client's question for a name may leave the host. */
  forwards({ networkId, client, name }: NameQuestion): boolean {
    if (this.#state.networks.get(networkId)?.internal !== false) return false;
    return mayAskFor(policiesOf(this.#state, networkId, client), name);
  }

  /**
   * Opens the addresses that an allowed name resolved to, for who asked and while it uses them; resolves, when that is
   * in force, with those that it may be told.
   */
  async admit(
    { networkId, client, name }: NameQuestion,
    addresses: readonly ResolvedAddress[],
  ): Promise<readonly string[]> {
    const policies = policiesOf(this.#state, networkId, client);
    const allowers = allowersOf(policies, name);
    if (allowers.length === 0) return addresses.map(({ address }) => address);
    const admissible = addresses.filter(({ address }) => isAdmissible(address));
    const wanted = allowers.flatMap(({ owner, pattern }) =>
      admissible.map(({ address, ttlSeconds }) => admissionOf(owner, pattern, address, ttlSeconds)),
    );
    if (this.#admissions.missing(wanted).length > 0) {
      this.#admissions.add(wanted);
      await this.#change((state) => state, formatAdmissions(this.#table, wanted));
    }
    return addresses
      .map(({ address }) => address)
      .filter((address) => isAdmissible(address) || isAllowedAnyway(policies, address));
  }

  /** Of every endpoint, by its port, since it was added. */
  async counters(): Promise<ReadonlyMap<string, EndpointCounters>> {
    const endpoints = [...this.#state.workloads.values()].flatMap((workload) => workload.endpoints);
    return countersOf(endpoints, await readRows(this.#nft, this.#table));
  }

  /** Removes all that was made, by whichever daemon of this name. */
  async uninstall(): Promise<void> {
    await this.#inTurn(async () => {
      await this.#nft.apply(formatRemoval(this.#table));
      this.#state = NO_STATE;
      this.#seal = undefined;
    });
  }

  async #isWhole(): Promise<boolean> {
    if (this.#seal === undefined) return true;
    try {
      // One by one: nft 1.0.6 looks all of a line up in the family of its first command.
      for (const family of FAMILIES)
        await this.#nft.apply([`list set ${family} ${this.#table} ${this.#seal}`]);
      return true;
    } catch {
      return false;
    }
  }

  async #change(next: (state: State) => State, more: readonly string[] = []): Promise<void> {
    await this.#inTurn(async () => {
      const state = next(this.#state);
      // What another daemon left is not known, so nothing can be added to it.
      if (this.#seal === undefined) return await this.#replace(state);
      const commands = formatChanges(this.#table, changesBetween(this.#state, state));
      try {
        await this.#nft.apply([...commands, ...more]);
      } catch {
        // The tables are not what they were left as, or the change is wrong: then this fails, too.
        return await this.#replace(state);
      }
      this.#state = state;
    });
  }

  async #replace(state: State, counted: Counted = new Map()): Promise<void> {
    const sets = new Set([...state.declared.values()].flatMap((declaration) => [...declaration.sets.keys()]));
    const seal = `seal_${randomBytes(6).toString('hex')}`;
    await this.#nft.apply([
      ...formatRuleset(this.#table),
      ...FAMILIES.map((family) => `add set ${family} ${this.#table} ${seal} { type ifname; }`),
      ...formatChanges(this.#table, changesBetween(NO_STATE, state), counted),
      ...formatAdmissions(this.#table, this.#admissions.current(sets)),
    ]);
    this.#seal = seal;
    this.#state = state;
  }

  async #inTurn(work: () => Promise<void>): Promise<void> {
    const turn = this.#last.then(work);
    this.#last = turn.catch(() => {});
    await turn;
  }
}

function byId<Item extends { readonly id: string }>(items: readonly Item[]): Map<string, Item> {
  return new Map(items.map((item) => [item.id, item]));
}

function without<Value>(map: ReadonlyMap<string, Value>, key: string): Map<string, Value> {
  return new Map([...map].filter(([other]) => other !== key));
}
