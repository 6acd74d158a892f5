// Networks of workloads: which there are, who has which address, name and port, and what the host is told of it (bridges,
// firewall, name service). Never knows instances or drivers: what goes inside them is said by core's EndpointSpec.
// Invariant: records say what there is; bridges, rules and names follow them and can be made again from them at any time.

export type { EndpointCounters, Finding, Policy } from './firewall/index.ts';
export { formatPolicy, formatRule, parsePolicy } from './firewall/index.ts';
export type { Member } from './member.ts';
export { BUILT_IN, isPredefined } from './names-of-networks.ts';
export type { NetworkingOptions } from './networking.ts';
export { Networking } from './networking.ts';
export { openNetworking } from './open.ts';
export { normalAddress } from './ports.ts';
export type { CreateNetworkOptions } from './store.ts';
export { NetworkStore } from './store.ts';
