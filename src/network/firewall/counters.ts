// What workloads sent and received, and what of it was refused.

import type { Row, Traffic } from './snapshot.ts';
import type { FirewallEndpoint } from './types.ts';

/** Of an endpoint, as the workload sees it. */
export interface EndpointCounters {
  readonly received: Traffic;
  readonly sent: Traffic;
  /** By policies and the rules between networks, on the way in and out. */
  readonly deniedIn: Traffic;
  readonly deniedOut: Traffic;
  /** Frames with an address that is not its own. */
  readonly spoofed: Traffic;
}

/** By port. */
export function countersOf(
  endpoints: readonly FirewallEndpoint[],
  rows: readonly Row[],
): ReadonlyMap<string, EndpointCounters> {
  const byKey = new Map(rows.map((row) => [`${row.set.replace(/[46]$/, '')} ${row.key}`, row.counter]));
  const sum = (keys: readonly string[]): Traffic =>
    keys.reduce(
      (total, key) => {
        const { packets, bytes } = byKey.get(key) ?? { packets: 0, bytes: 0 };
        return { packets: total.packets + packets, bytes: total.bytes + bytes };
      },
      { packets: 0, bytes: 0 },
    );
  return new Map(
    endpoints.map(({ port, mac, addresses }) => [
      port,
      {
        received: sum([`receivers ${port}`]),
        sent: sum(addresses.map((address) => `senders ${port} . ${mac} . ${address}`)),
        deniedIn: sum(addresses.map((address) => `denied_in ${address}`)),
        deniedOut: sum(addresses.map((address) => `denied_out ${address}`)),
        spoofed: sum([`spoofed ${port}`]),
      },
    ]),
  );
}
