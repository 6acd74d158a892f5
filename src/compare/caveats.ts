// What a reader must know beside the figures. Pure.

import type { Isolation } from '../core/index.ts';
import type { CompareHost, CompareSubject } from '../wire/compare.ts';

export interface CaveatInputs {
  readonly host: CompareHost;
  readonly subject: CompareSubject;
  readonly services: readonly Isolation[];
  readonly exitCodes: readonly { readonly isolation: Isolation; readonly code: number }[];
  /** Why VMs booted instead of being forked, where they did. */
  readonly whyCold: string | undefined;
}

const FEW = 20;

export function caveats({ host, subject, services, exitCodes, whyCold }: CaveatInputs): string[] {
  const list = [
    'Runs of the isolations took turns, so that a slow minute of the host hurts all alike; one warm-up run of each was discarded.',
    'Times are taken in the daemon around its engine’s calls; what a client and HTTP add is not in them.',
    'Networking was off but for loopback.',
  ];
  const runs = Object.values(subject.runs);
  if (Math.min(...runs) < FEW)
    list.push('With this few runs a p95 is close to the slowest run. --runs N asks for more.');
  if (subject.isolations.includes('vm'))
    list.push(
      whyCold === undefined
        ? 'VMs were forked from a template that the warm-up had waited for, except where a row says otherwise. A daemon’s first VM boots cold; what is started often is taken from the pool.'
        : `VMs could not be forked and booted cold in every row: ${whyCold}.`,
    );
  if (subject.isolations.includes('vm') && host.accelerator !== 'kvm')
    list.push('The VM ran without hardware acceleration (TCG): what it computes is translated in software.');
  const load = Math.max(host.loadBefore, host.loadAfter);
  if (host.loadBefore > host.cpus / 2)
    list.push(
      `The host was busy with other things (load ${load} on ${host.cpus} processors): times are too long, ratios less so.`,
    );
  for (const isolation of services)
    list.push(
      `The command did not end by itself in the ${isolation}: it was taken for a service and stopped.`,
    );
  for (const { isolation, code } of exitCodes)
    list.push(`The command ended with exit code ${code} in the ${isolation}.`);
  return list;
}
