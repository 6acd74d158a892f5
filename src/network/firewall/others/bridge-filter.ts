// br_netfilter: it makes IP rules see frames while they pass a bridge, and then translates what goes to a port of the
// same bridge without leaving the bridge, where isolated ports do not reach each other. So a workload would not reach
// a port that another of its network publishes. We do not need it; Kubernetes does, and Docker without inter-container
// communication.

import { readFileSync, writeFileSync } from 'node:fs';
import type { Finding } from './finding.ts';
import type { Iptables } from './iptables.ts';

const SETTINGS = ['bridge-nf-call-iptables', 'bridge-nf-call-ip6tables'] as const;

/** Switches it off, unless somebody is there who may need it. */
export function leaveBridgesAlone(iptables: readonly Iptables[]): void {
  if (userOf(iptables) !== undefined) return;
  for (const name of SETTINGS.filter(isOn)) {
    try {
      writeFileSync(pathOf(name), '0');
    } catch {
      // A container may not; `bridgeFilterFinding` tells.
    }
  }
}

export function bridgeFilterFinding(iptables: readonly Iptables[]): Finding[] {
  const on = SETTINGS.filter(isOn);
  const user = userOf(iptables);
  if (on.length === 0) return [{ name: 'bridge filter', ok: true, detail: 'off' }];
  return [
    {
      name: 'bridge filter',
      ok: false,
      detail: `${on.join(' and ')} ${on.length === 1 ? 'is' : 'are'} on${user === undefined ? '' : `, as ${user} is here and may need it`}: workloads do not reach ports that others of the same network publish on the host`,
      remedy: `let them use names of workloads instead, or switch it off: sysctl -w ${on.map((name) => `net.bridge.${name}=0`).join(' ')}`,
    },
  ];
}

function userOf(iptables: readonly Iptables[]): string | undefined {
  if (iptables.some((table) => table.has('KUBE-FORWARD') || table.has('KUBE-SERVICES'))) return 'Kubernetes';
  return iptables.some((table) => table.has('DOCKER-USER')) ? 'Docker' : undefined;
}

function isOn(name: string): boolean {
  try {
    return readFileSync(pathOf(name), 'utf8').trim() === '1';
  } catch {
    return false;
  }
}

function pathOf(name: string): string {
  return `/proc/sys/net/bridge/${name}`;
}
