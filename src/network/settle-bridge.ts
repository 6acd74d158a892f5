// Which bridge a network uses: its own, or one of somebody else that the user named. Decided whenever a bridge is raised.

import { BerthError, type Network } from '../core/index.ts';
import { bridgeOwner, checkBridge, inspectBridge } from './bridge.ts';
import { type NetworkStore, ownBridgeName } from './store.ts';

/** Docker's option, by which a user names the bridge. */
const BRIDGE_OPTION = 'com.docker.network.bridge.name';

/** The network with its bridge settled, on disk before anything of the host is changed. Fails with `conflict`. */
export async function settleBridge(
  store: NetworkStore,
  network: Network,
  ports: readonly string[],
): Promise<Network> {
  if (network.borrowed !== undefined || (await bridgeOwner(network)) !== 'another') return network;
  if (network.options[BRIDGE_OPTION] !== undefined) {
    await checkBridge(network.bridge, ports);
    return await store.change(network.id, { borrowed: await inspectBridge(network) });
  }
  // Somebody has made an interface whose name was free when the network was made.
  const bridge = ownBridgeName(network.id);
  if (network.bridge !== bridge)
    return await settleBridge(store, await store.change(network.id, { bridge }), ports);
  throw new BerthError(
    'conflict',
    `interface ${bridge} exists and is not Berth's, so network ${network.name} has no bridge: rename or remove it`,
  );
}
