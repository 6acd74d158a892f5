// The name service of workloads: one server in the daemon, on the gateway addresses of all networks. Owns sockets and
// questions; never knows workloads (a NameSource tells their names) nor firewall rules (they are told what to admit).
// Invariant: it remembers nothing of an answer, so what is true now is what the next question finds.

export type { AddressRecord } from './admission.ts';
export type { Asker, NameSource } from './own-names.ts';
export { hostResolvers, type Upstream, upstreamAt } from './resolv-conf.ts';
export { MAX_TTL_SECONDS, type NameQuery, type NameServerOptions } from './resolver.ts';
export { NameServer } from './server.ts';
