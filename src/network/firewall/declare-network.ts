// What a network needs in the tables.

import { familyOf } from './address-classes.ts';
import { compilePolicy, declareJumps } from './compile-policy.ts';
import type { Declaration, Element } from './declaration.ts';
import type { FirewallNetwork } from './types.ts';

export function declareNetwork(network: FirewallNetwork): Declaration {
  const bridge = `"${network.bridge}"`;
  const { policy } = network;
  const owner = { kind: 'network', id: network.id, name: network.name } as const;
  return {
    sets: new Map(),
    chains: new Map(),
    ...(policy === undefined ? {} : compilePolicy(owner, policy)),
    limits: new Map(),
    elements: [
      inet('bridges', bridge),
      inet('same', `${bridge} . ${bridge}`),
      ...(network.internal ? [inet('internal', bridge)] : []),
      ...network.subnets.flatMap((subnet) => declareSubnet(network, subnet)),
      ...(policy === undefined ? [] : network.subnets.flatMap((subnet) => declareJumps(owner, subnet))),
      ...Object.entries(network.namePorts ?? {}).flatMap(([gateway, port]) => [
        inet(`names${familyOf(gateway)}`, `${bridge} . ${gateway}`, `${port}`),
        inet(`resolvers${familyOf(gateway)}`, `${bridge} . ${gateway} . ${port}`),
      ]),
    ],
  };
}

function declareSubnet(network: FirewallNetwork, subnet: string): Element[] {
  const family = familyOf(subnet);
  const leaves = network.masquerade && !network.internal;
  return [inet(`inside${family}`, subnet), ...(leaves ? [inet(`masquerade${family}`, subnet)] : [])];
}

function inet(set: string, key: string, value?: string): Element {
  return { family: 'inet', set, key, ...(value === undefined ? {} : { value }) };
}
