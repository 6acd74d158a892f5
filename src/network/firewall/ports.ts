// What cannot be published.

import { BerthError } from '../../core/index.ts';
import { familyOf } from './address-classes.ts';
import { isEverywhere } from './declare-workload.ts';
import type { FirewallWorkload, PublishedPort } from './types.ts';

/** Refuses what two would publish, and what leads from one family to the other. */
export function checkPorts(workload: FirewallWorkload, others: ReadonlyMap<string, FirewallWorkload>): void {
  if (workload.published.length === 0) return;
  const owners = new Map(
    [...others.values()]
      .filter(({ id }) => id !== workload.id)
      .flatMap(({ name, published }) => published.map((port) => [formatPublished(port), name] as const)),
  );
  for (const port of workload.published) {
    const owner = owners.get(formatPublished(port));
    if (owner !== undefined)
      throw new BerthError(
        'conflict',
        `port ${formatPublished(port)} is published by ${owner} already: choose another, or remove it there`,
      );
    if (!isEverywhere(port.hostAddress) && familyOf(port.hostAddress) !== familyOf(port.address))
      throw new BerthError(
        'invalid-argument',
        `port ${formatPublished(port)} cannot lead to ${port.address}: both must be IPv4 or both IPv6`,
      );
  }
}

/** 0.0.0.0:80/tcp, [::1]:80/tcp */
function formatPublished({ protocol, hostAddress, hostPort, address }: PublishedPort): string {
  const everywhere = familyOf(address) === 4 ? '0.0.0.0' : '::';
  const host = isEverywhere(hostAddress) ? everywhere : hostAddress;
  return `${host.includes(':') ? `[${host}]` : host}:${hostPort}/${protocol}`;
}
