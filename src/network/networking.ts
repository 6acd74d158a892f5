// What runs on the host for networks: raised when a workload needs it, put right when somebody disturbed it.

import {
  BerthError,
  type Endpoint,
  type EndpointSpec,
  errorMessage,
  type Network,
  type NetworkAttachment,
  type NetworkFigures,
  type PortRequest,
  type PublishedPort,
  type RunNetwork,
} from '../core/index.ts';
import type { Nft } from '../host/index.ts';
import { AddressBook, addressesOf } from './addresses.ts';
import { interfaceExists, lowerBridge, raiseBridge, removeOtherPorts, removePorts } from './bridge.ts';
import { byInterface, freeName, policyOf, portOf, toFirewall, toSpec } from './endpoint-forms.ts';
import { portFigures } from './figures.ts';
import type {
  EndpointCounters,
  Finding,
  Firewall,
  FirewallNetwork,
  OtherFirewalls,
  TableWatch,
} from './firewall/index.ts';
import type { FlowMemory } from './flows.ts';
import type { Member } from './member.ts';
import type { NameServer } from './names/index.ts';
import { OpenNames } from './open-names.ts';
import { PortBook } from './ports.ts';
import { settleBridge } from './settle-bridge.ts';
import type { NetworkStore } from './store.ts';
import { uplinkMtu } from './uplink.ts';

export interface NetworkingOptions {
  readonly store: NetworkStore;
  readonly firewall: Firewall;
  readonly others: OtherFirewalls;
  readonly flows: FlowMemory;
  /** Closed with the rest. */
  readonly nft: Nft;
  /** Made with what it is to ask for names. */
  readonly names: (source: OpenNames) => NameServer;
  readonly log: (line: string) => void;
}

/** A network that is on the host, or about to be. */
interface Raised {
  /** Its largest packet, in bytes. */
  readonly mtu: Promise<number>;
  underWay: boolean;
}

export class Networking {
  readonly store: NetworkStore;
  readonly addresses = new AddressBook();
  readonly #firewall: Firewall;
  readonly #others: OtherFirewalls;
  readonly #nft: Nft;
  readonly #flows: FlowMemory;
  readonly #log: (line: string) => void;
  readonly #names: NameServer;
  /** Workloads that run or are about to, by id. */
  readonly #open = new Map<string, Member>();
  readonly #ports = new PortBook();
  readonly #raised = new Map<string, Raised>();
  /** Networks that are being removed. */
  readonly #going = new Set<string>();
  /** Until then networks are not told to the firewall one by one: what an earlier daemon left in it is taken over as a whole. */
  #restored = true;
  #restoring: Promise<void> = Promise.resolve();
  #watch: TableWatch | undefined;
  /** As the firewall was told, by id. */
  readonly #networks = new Map<string, FirewallNetwork>();

  constructor(options: NetworkingOptions) {
    this.store = options.store;
    this.#firewall = options.firewall;
    this.#others = options.others;
    this.#nft = options.nft;
    this.#flows = options.flows;
    this.#log = options.log;
    this.#names = options.names(new OpenNames(this.#open, this.store));
  }

  /**
   * After a daemon's start: all that the running workloads need is there again, and nothing else; what is left of `ended`
   * ones goes. Members and their ports are known when this returns; whoever changes networks waits until all is done.
   */
  restore(members: readonly Member[], ended: readonly Endpoint[]): Promise<void> {
    for (const member of members) {
      this.#open.set(member.id, member);
      for (const port of member.published) this.#ports.hold(member, port);
    }
    const restored = this.sweep(ended).then(() => this.#restore(members));
    this.#restoring = restored.catch(() => {});
    return restored;
  }

  /** Resolves when the host is as the last `restore` wants it, or could not be made so. */
  async settled(): Promise<void> {
    await this.#restoring;
  }

  async #restore(members: readonly Member[]): Promise<void> {
    // Rules for workloads that ended while no daemon ran must go: their addresses may be others' by now.
    if (members.length === 0) return await this.#firewall.uninstall();
    this.#restored = false;
    const ids = new Set(members.flatMap(({ endpoints }) => endpoints.map(({ networkId }) => networkId)));
    // What cannot be raised now is tried again by the next start on it; the daemon is there meanwhile.
    await Promise.all(
      [...ids].map(async (id) => {
        const network = this.store.find(id);
        if (network !== undefined)
          await this.#raise(network).catch((error: unknown) => this.#log(errorMessage(error)));
      }),
    );
    const all = [...this.#open.values()].map((member) => toFirewall(member, this.store));
    this.#restored = true;
    await this.#firewall.rebuild([...this.#networks.values()], all);
  }

  /** Makes the firewall let a workload through and says what its instance is to be plugged into. */
  async enter(member: Member): Promise<RunNetwork> {
    await this.#restoring;
    this.#open.set(member.id, member);
    const specs = await this.#specs(member.endpoints);
    await this.#firewall.setWorkload(toFirewall(member, this.store));
    await this.#flows.forget(member.published, []);
    const own = member.endpoints.flatMap(addressesOf);
    const [first] = specs;
    return {
      endpoints: specs,
      nameservers: first?.gateways.slice(0, 1) ?? [],
      searches: [],
      hosts: own.map((address) => `${address} ${member.hostname}`),
    };
  }

  /** The workload has ended, or could not be started. */
  async leave(member: Member): Promise<void> {
    await this.#restoring;
    this.#open.delete(member.id);
    this.#ports.release(member.id, member.published);
    await this.#firewall.removeWorkload(member.id);
    await this.#flows.forget(member.published, member.endpoints.flatMap(addressesOf));
  }

  /** Takes away ports that a supervisor left when it died; before `leave`, as rules hold them to their addresses until then. */
  async sweep(endpoints: readonly Endpoint[]): Promise<void> {
    await removePorts(endpoints.map(portOf));
  }

  /** Takes away all workloads' ports of Berth's own bridges but those of `known`. */
  async cutOffOthers(known: readonly Endpoint[]): Promise<void> {
    const bridges = this.store
      .list()
      .filter(({ bridge, borrowed }) => bridge !== '' && borrowed === undefined);
    await removeOtherPorts(bridges, known.map(portOf));
  }

  /** Ports of the host for a workload that is about to start; `before` are those of its last run. */
  publish(
    member: Pick<Member, 'id' | 'name'>,
    requests: readonly PortRequest[],
    before: readonly PublishedPort[],
  ): Promise<readonly PublishedPort[]> {
    return this.#ports.publish(member, requests, before);
  }

  /** The network's policy, or what else the firewall knows of it, is another one. */
  async networkChanged(network: Network): Promise<void> {
    await this.#restoring;
    const known = this.#networks.get(network.id);
    if (known === undefined) return;
    const { policy: _, ...others } = known;
    const changed = { ...others, ...policyOf(network) };
    this.#networks.set(network.id, changed);
    await this.#firewall.setNetwork(changed);
  }

  /** What the firewall counted of a workload that runs, by interface. */
  async counters(endpoints: readonly Endpoint[]): Promise<ReadonlyMap<string, EndpointCounters>> {
    return byInterface(endpoints, await this.#firewall.counters());
  }

  /** What the interfaces of a workload that runs carried, by their names inside. */
  async figures(endpoints: readonly Endpoint[]): Promise<ReadonlyMap<string, NetworkFigures>> {
    return byInterface(endpoints, await portFigures());
  }

  /** A running workload is on other networks than before. */
  async changed(member: Member): Promise<readonly EndpointSpec[]> {
    await this.#restoring;
    const before = this.#open.get(member.id)?.endpoints.flatMap(addressesOf) ?? [];
    this.#open.set(member.id, member);
    const specs = await this.#specs(member.endpoints);
    await this.#firewall.setWorkload(toFirewall(member, this.store));
    const now = member.endpoints.flatMap(addressesOf);
    await this.#flows.forget(
      [],
      before.filter((address) => !now.includes(address)),
    );
    return specs;
  }

  /** Another name is known at once. */
  renamed(member: Member): void {
    if (this.#open.has(member.id)) this.#open.set(member.id, member);
  }

  async #specs(endpoints: readonly Endpoint[]): Promise<readonly EndpointSpec[]> {
    const networks = await Promise.all(
      endpoints.map(async (endpoint) => {
        const mtu = await this.#raise(this.store.get(endpoint.networkId));
        return { endpoint, network: this.store.get(endpoint.networkId), mtu };
      }),
    );
    const wayOut = networks.find(({ network }) => !network.internal)?.endpoint;
    return networks.map(({ endpoint, network, mtu }) => toSpec(endpoint, network, mtu, endpoint === wayOut));
  }

  /** Once for each network, until its bridge is gone. */
  async #raise(network: Network): Promise<number> {
    const known = this.#raised.get(network.id);
    if (known?.underWay || (known !== undefined && interfaceExists(network.bridge))) return await known.mtu;
    const raised: Raised = { mtu: this.#raiseNow(network), underWay: true };
    this.#raised.set(network.id, raised);
    try {
      return await raised.mtu;
    } catch (error) {
      this.#raised.delete(network.id);
      throw error;
    } finally {
      raised.underWay = false;
    }
  }

  async #raiseNow(recorded: Network): Promise<number> {
    const mtu = recorded.mtu ?? (await uplinkMtu());
    const ports = [...this.#open.values()].flatMap(({ endpoints }) =>
      endpoints.filter(({ networkId }) => networkId === recorded.id).map(portOf),
    );
    const network = await settleBridge(this.store, recorded, ports);
    await raiseBridge(network, mtu, ports);
    await this.#others.makeWay([network.bridge]);
    const gateways = network.subnets.map(({ gateway }) => gateway);
    const namePorts: Record<string, number> = {};
    for (const { subnet, gateway } of network.subnets)
      namePorts[gateway] = await this.#names.listen(network.id, `${gateway}/${subnet.split('/')[1]}`);
    const firewall: FirewallNetwork = {
      ...{ id: network.id, name: network.name, bridge: network.bridge, gateways, namePorts },
      subnets: network.subnets.map(({ subnet }) => subnet),
      ...{ internal: network.internal, masquerade: !network.internal },
      ...policyOf(network),
    };
    this.#networks.set(network.id, firewall);
    if (this.#restored) await this.#firewall.setNetwork(firewall);
    this.#watch ??= this.#watchTables();
    return mtu;
  }

  #watchTables(): TableWatch {
    const failed = (error: unknown) => this.#log(errorMessage(error));
    return this.#firewall.watch(failed, (table) => {
      const bridges = [...this.#networks.values()].map(({ bridge }) => bridge);
      this.#others.tableGone(table, bridges).catch(failed);
    });
  }

  /** A workload's places in the networks it asks for, its own until `release`; all or none. */
  async assign(
    attachments: readonly NetworkAttachment[],
    owner: string,
    used: readonly Endpoint[] = [],
  ): Promise<readonly Endpoint[]> {
    const assigned: Endpoint[] = [];
    try {
      for (const attachment of attachments) {
        const network = await this.#find(attachment.network);
        const taken = [...used, ...assigned];
        if (taken.some(({ networkId }) => networkId === network.id))
          throw new BerthError('conflict', `a workload is on network ${network.name} once only`);
        assigned.push(this.addresses.assign(network, attachment, owner, freeName(taken)));
      }
      return assigned;
    } catch (error) {
      this.release(assigned);
      throw error;
    }
  }

  /** Those whose interface is not there. */
  unplugged(endpoints: readonly Endpoint[]): readonly Endpoint[] {
    return endpoints.filter((endpoint) => !interfaceExists(portOf(endpoint)));
  }

  release(endpoints: readonly Endpoint[]): void {
    for (const endpoint of endpoints) this.addresses.release(endpoint);
  }

  async #find(reference: string): Promise<Network> {
    const network =
      reference === 'bridge' || reference === 'default'
        ? await this.store.default()
        : this.store.get(reference);
    if (this.#going.has(network.id))
      throw new BerthError('not-found', `network ${network.name} not found: it is being removed`);
    if (network.driver === 'bridge') return network;
    throw new BerthError(
      'conflict',
      `network ${network.name} is not one that a workload can be connected to`,
    );
  }

  /** Removes a network for good. Fails with `conflict` when somebody has an address on it; nobody gets one meanwhile. */
  async remove(network: Network): Promise<void> {
    // No await between looking and marking.
    if (this.#going.has(network.id) || this.addresses.inUse(network.id))
      throw new BerthError(
        'conflict',
        `error while removing network: network ${network.name} has active endpoints or is being removed`,
      );
    this.#going.add(network.id);
    try {
      await this.#lower(network);
      await this.store.remove(network.id);
    } finally {
      this.#going.delete(network.id);
    }
  }

  async #lower(network: Network): Promise<void> {
    await this.#restoring;
    const raised = this.#raised.get(network.id);
    this.#raised.delete(network.id);
    await raised?.mtu.catch(() => {});
    await this.#names.release(network.id);
    this.#networks.delete(network.id);
    await this.#firewall.removeNetwork(network.id);
    await lowerBridge(this.store.get(network.id));
  }

  /** What stands in the way of our networks on this host, or would, and what was done about it. */
  async findings(): Promise<readonly Finding[]> {
    return await this.#others.findings(this.#bridges());
  }

  /** Takes away all that was made on the host; nothing runs on a network. What is needed is made again when it is. */
  async uninstall(): Promise<void> {
    await this.#restoring;
    const bridges = this.#bridges();
    for (const id of this.#raised.keys()) await this.#names.release(id);
    this.#raised.clear();
    this.#networks.clear();
    await this.#firewall.uninstall();
    await this.#others.leave(bridges);
    for (const network of this.store.list()) {
      await lowerBridge(network);
      if (network.borrowed !== undefined) await this.store.change(network.id, { borrowed: undefined });
    }
  }

  #bridges(): readonly string[] {
    return this.store.list().flatMap(({ bridge }) => (bridge === '' ? [] : [bridge]));
  }

  /** Workloads live on; names are not resolved until the next daemon is there. */
  async close(): Promise<void> {
    this.#watch?.close();
    await this.#names.close();
    await this.#nft.close();
  }
}
