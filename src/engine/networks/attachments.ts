// From what a workload asks for to the networks that it is attached to. Asks the registry only.

import { BerthError, type NetworkAttachment, type WorkloadSpec } from '../../core/index.ts';
import type { EngineContext } from '../context.ts';

const JOIN = 'container:';

/** The workload whose network this one shares, by its mode. */
export function joinedReference(networkMode: string): string | undefined {
  return networkMode.startsWith(JOIN) ? networkMode.slice(JOIN.length) : undefined;
}

/** With the id in place of a name, which may become another's. Fails with `not-found`. */
export function resolveMode(ctx: EngineContext, networkMode: string): string {
  const reference = joinedReference(networkMode);
  return reference === undefined ? networkMode : `${JOIN}${ctx.registry.find(reference).id}`;
}

/** Fails with `conflict` or `unsupported` when wishes contradict each other. */
export function attachmentsOf(spec: WorkloadSpec): readonly NetworkAttachment[] {
  const mode = spec.networkMode === '' || spec.networkMode === 'default' ? 'bridge' : spec.networkMode;
  const joins = joinedReference(mode) !== undefined;
  if (joins && spec.isolation !== 'container')
    throw new BerthError(
      'unsupported',
      'a VM has a kernel and a network stack of its own and cannot share those of a container: connect both to one network instead',
    );
  if (joins && (spec.ports.length > 0 || spec.publishAllPorts))
    throw new BerthError(
      'conflict',
      'conflicting options: port publishing and the container type network mode: publish the ports of the container whose network is shared',
    );
  if (mode === 'none' || mode === 'host' || joins) {
    if (spec.networks.length === 0) return [];
    throw new BerthError(
      'conflict',
      `conflicting options: a workload of network mode ${mode} cannot be connected to network ${spec.networks[0]?.network}`,
    );
  }
  const isMain = ({ network }: NetworkAttachment) =>
    network === mode || (mode === 'bridge' && network === 'default');
  const main = spec.networks.find(isMain) ?? { network: mode, aliases: [] };
  return [{ ...main, network: mode }, ...spec.networks.filter((attachment) => !isMain(attachment))];
}
