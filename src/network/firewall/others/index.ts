// The firewalls that stand beside ours. Owns the few rules that Berth needs in them, each marked as ours; never changes
// a rule or a policy of theirs, and never decides anything: who may reach whom is said in our own tables.
// Invariant: `leave` removes all that `makeWay` did, whichever daemon of this name did it.

import type { Nft } from '../../../host/index.ts';
import { bridgeFilterFinding, leaveBridgesAlone } from './bridge-filter.ts';
import type { Finding } from './finding.ts';
import {
  addToFirewalld,
  FIREWALLD,
  firewalldFinding,
  hasFirewalld,
  removeFromFirewalld,
} from './firewalld.ts';
import { openIptables } from './iptables.ts';
import { foreignFindings, readTables } from './nft-tables.ts';

export type { Finding } from './finding.ts';

export class OtherFirewalls {
  readonly #nft: Nft;
  readonly #mark: string;

  /** `mark` tells our rules from others': the name of our tables. */
  constructor(nft: Nft, mark: string) {
    this.#nft = nft;
    this.#mark = mark;
  }

  /** Lets others pass what comes from and goes to our bridges, where they would not; to be called again for new bridges. */
  async makeWay(bridges: readonly string[]): Promise<void> {
    const tables = await readTables(this.#nft);
    const iptables = await openIptables(tables, this.#mark);
    leaveBridgesAlone(iptables);
    for (const table of iptables) await table.makeWay();
    if (hasFirewalld(tables)) await addToFirewalld(bridges);
  }

  /** A table was removed: firewalld forgets our bridges when it reloads, which begins and ends so. */
  async tableGone(table: string, bridges: readonly string[]): Promise<void> {
    if (table.startsWith(FIREWALLD)) await addToFirewalld(bridges);
  }

  async leave(bridges: readonly string[]): Promise<void> {
    const tables = await readTables(this.#nft);
    for (const table of await openIptables(tables, this.#mark)) await table.leave();
    if (hasFirewalld(tables)) await removeFromFirewalld(bridges);
  }

  /** What stands in the way of our networks, or would, and what was done about it. */
  async findings(bridges: readonly string[]): Promise<Finding[]> {
    const tables = await readTables(this.#nft);
    const iptables = await openIptables(tables, this.#mark);
    return [
      ...bridgeFilterFinding(iptables),
      ...iptables.flatMap((table) => table.findings()),
      ...(hasFirewalld(tables) ? [await firewalldFinding(bridges)] : []),
      ...(await foreignFindings(this.#nft, this.#mark)),
    ];
  }
}
