// Whose policy is meant: WORKLOAD, or network:NETWORK.

import type { PolicyTarget } from '../sdk/policies.ts';

const NETWORK = 'network:';

export function policyTarget(text: string): PolicyTarget {
  if (text.startsWith(NETWORK)) return { kind: 'network', name: text.slice(NETWORK.length) };
  return { kind: 'workload', name: text };
}

export function formatPolicyTarget({ kind, name }: PolicyTarget): string {
  return kind === 'network' ? `${NETWORK}${name}` : name;
}
