// Puts the parts of networking together. Nothing is made on the host before a workload needs it.

import { createHash } from 'node:crypto';
import { join } from 'node:path';
import { errorMessage } from '../core/index.ts';
import { Nft } from '../host/index.ts';
import { Firewall, OtherFirewalls } from './firewall/index.ts';
import { FlowMemory } from './flows.ts';
import { hostResolvers, NameServer, upstreamAt } from './names/index.ts';
import { Networking } from './networking.ts';
import { NetworkStore } from './store.ts';
import { routedSubnets } from './uplink.ts';

export interface OpenNetworkingOptions {
  /** State folder of the daemon. */
  readonly root: string;
  /** berth-shim. */
  readonly shimPath?: string;
  readonly log: (line: string) => void;
}

const DEFAULT_ROOT = '/var/lib/berth';

/** Two daemons of one host keep out of each other's tables. */
function tableName(root: string): string {
  if (root === DEFAULT_ROOT) return 'berth';
  return `berth_${createHash('sha256').update(root).digest('hex').slice(0, 8)}`;
}

export async function openNetworking({ root, shimPath, log }: OpenNetworkingOptions): Promise<Networking> {
  const store: NetworkStore = await NetworkStore.open({
    root: join(root, 'networks'),
    taken: (other) => routedSubnets(new Set([...store.list().map(({ bridge }) => bridge), other])),
    log,
  });
  // It is there for everyone who looks; without the tools it is made when it is wanted, and says then what is missing.
  await store.default().catch((error: unknown) => log(`network bridge: ${errorMessage(error)}`));
  const nft = new Nft(join(root, 'nft'));
  const table = tableName(root);
  const resolvers = hostResolvers();
  const firewall = new Firewall(nft, table);
  return new Networking({
    store,
    log,
    firewall,
    others: new OtherFirewalls(nft, table),
    flows: new FlowMemory(shimPath, log),
    nft,
    names: (source) =>
      new NameServer({
        source,
        log,
        upstreams: (query) => source.serversOf(query)?.map(upstreamAt) ?? resolvers(),
        forwards: (query) => firewall.forwards(source.byWayOut(query)),
        admit: (query, addresses) => firewall.admit(source.byWayOut(query), addresses),
      }),
  });
}
