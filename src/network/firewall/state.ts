// The networks and workloads there are, and what stands in the tables for them.

import { type Change, type Declaration, NOTHING } from './declaration.ts';
import { declareNetwork } from './declare-network.ts';
import { declareWorkload } from './declare-workload.ts';
import { declareMembers, declareWatched, watchedAddresses } from './members.ts';
import type { OwnedPolicies } from './names.ts';
import type { Policy } from './policy.ts';
import { addressesOf, type FirewallNetwork, type FirewallWorkload } from './types.ts';

/** Each object as it was given: one that is the same object has not changed. */
export interface State {
  readonly networks: ReadonlyMap<string, FirewallNetwork>;
  readonly workloads: ReadonlyMap<string, FirewallWorkload>;
  /** Addresses of whose connections each packet is judged. */
  readonly watched: ReadonlySet<string>;
  /** By `network ID`, `workload ID`, `members TARGET`, `watched`. */
  readonly declared: ReadonlyMap<string, Declaration>;
}

export const NO_STATE: State = {
  networks: new Map(),
  workloads: new Map(),
  watched: new Set(),
  declared: new Map(),
};

/** The state after `before` with these; what has not changed is taken from there. */
export function nextState(
  before: State,
  networks: ReadonlyMap<string, FirewallNetwork>,
  workloads: ReadonlyMap<string, FirewallWorkload>,
): State {
  const declared = new Map<string, Declaration>();
  for (const [id, network] of networks) {
    const known = before.networks.get(id) === network ? before.declared.get(`network ${id}`) : undefined;
    declared.set(`network ${id}`, known ?? declareNetwork(network));
  }
  for (const [id, workload] of workloads) {
    const known = before.workloads.get(id) === workload ? before.declared.get(`workload ${id}`) : undefined;
    declared.set(`workload ${id}`, known ?? declareWorkload(workload));
  }
  const policies = [...networks.values(), ...workloads.values()].flatMap(({ policy }): Policy[] =>
    policy === undefined ? [] : [policy],
  );
  for (const [key, members] of declareMembers(policies, workloads.values())) declared.set(key, members);
  const watched = watchedAddresses(networks.values(), workloads.values(), before.watched);
  declared.set('watched', declareWatched(watched));
  return { networks, workloads, watched, declared };
}

export function changesBetween(before: State, after: State): Change[] {
  return [...new Set([...before.declared.keys(), ...after.declared.keys()])]
    .filter((key) => before.declared.get(key) !== after.declared.get(key))
    .map((key) => ({
      before: before.declared.get(key) ?? NOTHING,
      after: after.declared.get(key) ?? NOTHING,
    }));
}

/** The policies that are looked at for what `client` opens on a network. */
export function policiesOf(state: State, networkId: string, client: string): OwnedPolicies {
  const network = state.networks.get(networkId);
  const workload = [...state.workloads.values()].find((item) => addressesOf(item).includes(client));
  return [...ownedPolicy('workload', workload), ...ownedPolicy('network', network)];
}

function ownedPolicy(
  kind: 'workload' | 'network',
  owner: FirewallWorkload | FirewallNetwork | undefined,
): OwnedPolicies {
  if (owner?.policy === undefined) return [];
  return [{ owner: { kind, id: owner.id, name: owner.name }, policy: owner.policy }];
}
