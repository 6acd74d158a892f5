// The firewall of workloads: all nftables text of Berth, and the policy language. Owns the two tables of a daemon, of
// the families inet and bridge; never makes interfaces or addresses, and touches no table of anybody else.
// Invariant: what stands in the tables follows from the networks and workloads that were given, and from nothing else.

export type { EndpointCounters } from './counters.ts';
export { isEverywhere } from './declare-workload.ts';
export { Firewall } from './firewall.ts';
export { type Finding, OtherFirewalls } from './others/index.ts';
export * from './policy.ts';
export * from './policy-text.ts';
export type { Traffic } from './snapshot.ts';
export * from './types.ts';
export type { TableWatch } from './watch.ts';
