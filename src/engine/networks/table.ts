// The engine's face for networks: made, removed, and connected to workloads, with events of it.

import {
  BerthError,
  type Endpoint,
  isBerthError,
  type Network,
  type NetworkAttachment,
} from '../../core/index.ts';
import { type CreateNetworkOptions, isPredefined } from '../../network/index.ts';
import { reach } from '../adoption.ts';
import type { Networks } from '../api.ts';
import type { EngineContext } from '../context.ts';
import type { Workload } from '../workload.ts';
import { joinedReference } from './attachments.ts';
import { memberOf } from './membership.ts';

export class NetworkTable implements Networks {
  readonly #ctx: EngineContext;

  constructor(ctx: EngineContext) {
    this.#ctx = ctx;
  }

  async create(options: CreateNetworkOptions): Promise<Network> {
    const network = await this.#ctx.networking.store.create(options);
    this.#publish('create', network);
    return network;
  }

  list(): readonly Network[] {
    return this.#ctx.networking.store.list();
  }

  get(reference: string): Network {
    return this.#ctx.networking.store.get(reference);
  }

  async remove(reference: string): Promise<void> {
    const network = this.get(reference);
    if (isPredefined(network))
      throw new BerthError(
        'permission-denied',
        `${network.name} is a pre-defined network and cannot be removed`,
      );
    const users = this.#usersOf(network);
    if (users.length > 0)
      throw new BerthError(
        'conflict',
        `error while removing network: network ${network.name} has active endpoints: ${users.map(({ name }) => name).join(', ')}: disconnect or remove them first`,
      );
    await this.#ctx.networking.remove(network);
    this.#publish('destroy', network);
  }

  async prune(filter: (network: Network) => boolean): Promise<readonly string[]> {
    const removed: string[] = [];
    for (const network of this.list()) {
      if (isPredefined(network) || !filter(network)) continue;
      if (this.#usersOf(network).length > 0) continue;
      if (await this.#removeIdle(network)) removed.push(network.name);
    }
    return removed;
  }

  /** False: somebody came to be on it meanwhile. */
  async #removeIdle(network: Network): Promise<boolean> {
    try {
      await this.remove(network.id);
      return true;
    } catch (error) {
      if (isBerthError(error, 'conflict')) return false;
      throw error;
    }
  }

  #usersOf(network: Network): readonly Workload[] {
    return this.#ctx.registry
      .all()
      .filter(({ record }) => record.endpoints.some(({ networkId }) => networkId === network.id));
  }

  async connect(reference: string, workloadReference: string, wanted: Omit<NetworkAttachment, 'network'>) {
    const network = reference === 'bridge' ? await this.#ctx.networking.store.default() : this.get(reference);
    const workload = await reach(this.#ctx, workloadReference);
    await workload.lock.run(async () => {
      refuseShared(workload, network);
      const before = workload.record.endpoints;
      const attachment = { ...wanted, network: network.id };
      const added = await this.#ctx.networking.assign([attachment], workload.id, before);
      try {
        // On disk first: a daemon that dies in between is followed by one that plugs it in.
        await workload.update({ endpoints: [...before, ...added] });
        if (workload.running) await this.#plug(workload, added);
      } catch (error) {
        await workload.update({ endpoints: before });
        if (workload.running) await this.#ctx.networking.changed(memberOf(workload));
        this.#ctx.networking.release(added);
        throw error;
      }
    });
    this.#publish('connect', network, { container: workload.id });
  }

  async #plug(workload: Workload, added: readonly Endpoint[]): Promise<void> {
    const { networking } = workload.requireInstance();
    if (networking === undefined) throw cannotChange(workload);
    const specs = await this.#ctx.networking.changed(memberOf(workload));
    for (const spec of specs)
      if (added.some((endpoint) => endpoint.interface === spec.name)) await networking.plug(spec);
  }

  async disconnect(reference: string, workloadReference: string): Promise<void> {
    const network = this.get(reference);
    const workload = await reach(this.#ctx, workloadReference);
    await workload.lock.run(async () => {
      const { endpoints } = workload.record;
      const gone = endpoints.find(({ networkId }) => networkId === network.id);
      if (gone === undefined)
        throw new BerthError(
          'conflict',
          `container ${workload.name} is not connected to network ${network.name}`,
        );
      if (workload.running) {
        const { networking } = workload.requireInstance();
        if (networking === undefined) throw cannotChange(workload);
        await networking.unplug(gone.interface);
      }
      await workload.update({ endpoints: endpoints.filter((endpoint) => endpoint !== gone) });
      if (workload.running) await this.#ctx.networking.changed(memberOf(workload));
      this.#ctx.networking.release([gone]);
    });
    this.#publish('disconnect', network, { container: workload.id });
  }

  #publish(action: string, network: Network, attributes: Readonly<Record<string, string>> = {}): void {
    const all = { name: network.name, type: network.driver, ...attributes };
    this.#ctx.events.publish({ type: 'network', action, actor: { id: network.id, attributes: all } });
  }
}

function refuseShared({ record, name }: Workload, network: Network): void {
  const { networkMode } = record.spec;
  if (networkMode !== 'host' && joinedReference(networkMode) === undefined) return;
  throw new BerthError(
    'conflict',
    `container ${name} shares the network of ${networkMode === 'host' ? 'the host' : 'another container'} and cannot be connected to network ${network.name}`,
  );
}

function cannotChange({ name, record }: Workload): BerthError {
  return new BerthError(
    'unsupported',
    `networks of container ${name} cannot change while it runs: isolation ${record.spec.isolation} cannot do it; stop it first`,
  );
}
