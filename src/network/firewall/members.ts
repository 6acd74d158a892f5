// Whom rules mean that speak of workloads by name or label, and of whom each packet is judged.

import { familyOf } from './address-classes.ts';
import { memberSet } from './compile-policy.ts';
import { type Declaration, NOTHING } from './declaration.ts';
import type { Policy, Target } from './policy.ts';
import { addressesOf, type FirewallNetwork, type FirewallWorkload } from './types.ts';

type Members = Extract<Target, { readonly kind: 'workload' | 'label' }>;

/** The sets of all whom `policies` speak of, with the addresses of those among `workloads`. */
export function declareMembers(
  policies: readonly Policy[],
  workloads: Iterable<FirewallWorkload>,
): ReadonlyMap<string, Declaration> {
  const targets = new Map(
    policies.flatMap((policy) =>
      policy.flatMap(({ target }) =>
        target.kind === 'workload' || target.kind === 'label'
          ? [[JSON.stringify(target), target] as const]
          : [],
      ),
    ),
  );
  if (targets.size === 0) return new Map();
  const all = [...workloads];
  return new Map([...targets].map(([key, target]) => [`members ${key}`, declareTarget(target, all)]));
}

function declareTarget(target: Members, workloads: readonly FirewallWorkload[]): Declaration {
  return {
    ...NOTHING,
    sets: new Map(
      ([4, 6] as const).map((family) => [memberSet(target, family), `{ type ipv${family}_addr; }`]),
    ),
    elements: workloads
      .filter((workload) => isMember(target, workload))
      .flatMap(addressesOf)
      .map((address) => ({ family: 'inet', set: memberSet(target, familyOf(address)), key: address })),
  };
}

function isMember(target: Members, { name, labels }: FirewallWorkload): boolean {
  if (target.kind === 'workload') return target.name === name;
  const value = Object.hasOwn(labels, target.key) ? labels[target.key] : undefined;
  return value !== undefined && (target.value === undefined || target.value === value);
}

/**
 * The addresses of those who are under a policy, and of those of `before` who still are there: connections that their
 * policy had allowed must not outlive it.
 */
export function watchedAddresses(
  networks: Iterable<FirewallNetwork>,
  workloads: Iterable<FirewallWorkload>,
  before: ReadonlySet<string>,
): ReadonlySet<string> {
  const bridges = new Set(
    [...networks].filter(({ policy }) => policy !== undefined).map(({ bridge }) => bridge),
  );
  return new Set(
    [...workloads].flatMap(({ policy, endpoints }) =>
      endpoints.flatMap(({ bridge, addresses }) =>
        addresses.filter((address) => policy !== undefined || bridges.has(bridge) || before.has(address)),
      ),
    ),
  );
}

export function declareWatched(addresses: ReadonlySet<string>): Declaration {
  if (addresses.size === 0) return NOTHING;
  return {
    ...NOTHING,
    elements: [...addresses].map((address) => ({
      family: 'inet',
      set: `watched${familyOf(address)}`,
      key: address,
    })),
  };
}
