// Networks as records: ROOT/networks/<id>.json. What is not written there does not exist; bridges and firewall follow it.

import { randomBytes } from 'node:crypto';
import { mkdir, readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { BerthError, errorMessage, type Network } from '../core/index.ts';
import { readIfExists, writeAtomic } from '../host/index.ts';
import type { Subnet } from './address.ts';
import { bridgeOwner, checkBridge, interfaceExists } from './bridge.ts';
import { chooseSubnets, type SubnetRequest } from './choose-subnets.ts';
import { BUILT_IN, checkName, DEFAULT_NETWORK } from './names-of-networks.ts';

const DEFAULT_BRIDGE = 'berth0';

export interface CreateNetworkOptions {
  readonly name: string;
  readonly subnets: readonly SubnetRequest[];
  readonly ipv6: boolean;
  readonly internal: boolean;
  readonly labels: Readonly<Record<string, string>>;
  readonly options: Readonly<Record<string, string>>;
  /** Absent: chosen by the id. */
  readonly bridge?: string;
  readonly mtu?: number;
  readonly policy?: string;
}

export interface NetworkStoreOptions {
  /** Made if absent. */
  readonly root: string;
  /** Subnets that this host reaches by other ways than our bridges and `bridge`: none of ours may overlap one. */
  readonly taken: (bridge: string) => Promise<readonly Subnet[]>;
  readonly log: (line: string) => void;
}

export class NetworkStore {
  readonly #options: NetworkStoreOptions;
  readonly #networks = new Map<string, Network>();
  /** One at a time: two must not choose the same subnet. */
  #turn: Promise<unknown> = Promise.resolve();

  private constructor(options: NetworkStoreOptions) {
    this.#options = options;
  }

  static async open(options: NetworkStoreOptions): Promise<NetworkStore> {
    const store = new NetworkStore(options);
    await mkdir(options.root, { recursive: true, mode: 0o700 });
    for (const file of await readdir(options.root)) {
      const id = /^([0-9a-f]{64})\.json$/.exec(file)?.[1];
      if (id === undefined) continue;
      try {
        store.#networks.set(id, parseNetwork((await readIfExists(store.#path(id))) ?? '', id));
      } catch (error) {
        options.log(`network ${id}: ${store.#path(id)} is left as it is: ${errorMessage(error)}`);
      }
    }
    return store;
  }

  #path(id: string): string {
    return join(this.#options.root, `${id}.json`);
  }

  /** Fails with `conflict` when the name or a subnet is in use, `invalid-argument` or `exhausted`. */
  create(options: CreateNetworkOptions): Promise<Network> {
    checkName(options.name);
    return this.#alone(async () => {
      if (this.find(options.name) !== undefined)
        throw new BerthError('conflict', `network with name ${options.name} already exists`);
      return await this.#make(options);
    });
  }

  /** The network `bridge`, made when it is first wanted. */
  async default(): Promise<Network> {
    const make = async () =>
      this.find(DEFAULT_NETWORK) ??
      (await this.#make({
        ...{ name: DEFAULT_NETWORK, subnets: [], ipv6: false, internal: false, labels: {}, options: {} },
        // Another daemon of this host may have it.
        ...(interfaceExists(DEFAULT_BRIDGE) ? {} : { bridge: DEFAULT_BRIDGE }),
      }));
    return this.find(DEFAULT_NETWORK) ?? (await this.#alone(make));
  }

  async #make(options: CreateNetworkOptions): Promise<Network> {
    const id = randomBytes(32).toString('hex');
    const others = this.list().filter(({ driver }) => driver === 'bridge');
    const bridge = options.bridge ?? ownBridgeName(id);
    const rival = others.find((network) => network.bridge === bridge);
    if (rival !== undefined)
      throw new BerthError('conflict', `bridge ${bridge} is that of network ${rival.name}`);
    if ((await bridgeOwner({ id, bridge })) === 'another') await checkBridge(bridge, []);
    const taken = await this.#options.taken(bridge);
    const network: Network = {
      ...{ id, name: options.name, createdAt: new Date().toISOString(), driver: 'bridge', bridge },
      subnets: chooseSubnets(options.subnets, options.ipv6, others, taken),
      ...{ internal: options.internal, labels: options.labels, options: options.options },
      ...(options.mtu === undefined ? {} : { mtu: options.mtu }),
      ...(options.policy === undefined ? {} : { policy: options.policy }),
    };
    await writeAtomic(this.#path(id), JSON.stringify(network), { durable: true });
    this.#networks.set(id, network);
    return network;
  }

  /** By name, id or the beginning of an id that is nobody else's; names go first. */
  find(reference: string): Network | undefined {
    const all = this.list();
    const exact = all.find(({ name, id }) => name === reference || id === reference);
    if (exact !== undefined || !/^[0-9a-f]+$/.test(reference)) return exact;
    const matches = all.filter(({ id }) => id.startsWith(reference));
    return matches.length === 1 ? matches[0] : undefined;
  }

  get(reference: string): Network {
    const network = this.find(reference);
    if (network === undefined) throw new BerthError('not-found', `network ${reference} not found`);
    return network;
  }

  /** Those that always exist first. */
  list(): readonly Network[] {
    const made = [...this.#networks.values()].sort((a, b) => (a.createdAt < b.createdAt ? -1 : 1));
    return [...BUILT_IN, ...made];
  }

  /** Changes a network durably. A field that is undefined in `change` is removed. */
  async change(
    id: string,
    change: { readonly [Key in 'policy' | 'bridge' | 'borrowed']?: Network[Key] | undefined },
  ): Promise<Network> {
    return await this.#alone(async () => {
      const changed = { ...this.get(id), ...change } as Network;
      await writeAtomic(this.#path(id), JSON.stringify(changed), { durable: true });
      this.#networks.set(id, changed);
      return changed;
    });
  }

  remove(id: string): Promise<void> {
    return this.#alone(async () => {
      await rm(this.#path(id), { force: true });
      this.#networks.delete(id);
    });
  }

  #alone<T>(work: () => Promise<T>): Promise<T> {
    const turn = this.#turn.then(work);
    this.#turn = turn.catch(() => {});
    return turn;
  }
}

/** The bridge of a network that asks for none by name. */
export function ownBridgeName(id: string): string {
  return `berth-${id.slice(0, 8)}`;
}

function parseNetwork(text: string, id: string): Network {
  const network = JSON.parse(text) as Network;
  if (network.id !== id || typeof network.name !== 'string' || !Array.isArray(network.subnets))
    throw new RangeError('it is no network');
  return network;
}
