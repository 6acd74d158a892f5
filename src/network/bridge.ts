// A network's bridge on the host. Made when it is first needed, and again when somebody took it away.

import { existsSync } from 'node:fs';
import { readdir, readFile, writeFile } from 'node:fs/promises';
import { BerthError, errorMessage, type Network } from '../core/index.ts';
import { run } from '../host/index.ts';
import { familyOf, macOf } from './address.ts';

/** Of this process's network namespace, which /sys may not be about. */
const INTERFACES = '/proc/sys/net/ipv4/conf';

const LINK_LOCAL = 'fe80::1/64';

export function interfaceExists(name: string): boolean {
  return existsSync(`${INTERFACES}/${name}`);
}

/**
 * Makes the bridge with its gateways' addresses; of one that exists only what is missing. `ports` of workloads that run are put
 * into it again. Fails with `unavailable`, saying what is needed.
 */
export async function raiseBridge(network: Network, mtu: number, ports: readonly string[]): Promise<void> {
  const { bridge, subnets } = network;
  const made = !interfaceExists(bridge);
  try {
    // It would otherwise take the lowest address of its ports, and change it with them.
    if (made) await ip([`link add ${bridge} address ${macOf(network.id)} mtu ${mtu} type bridge`]);
    const gateways = subnets.map(({ subnet, gateway }) => ({
      address: `${gateway}/${subnet.split('/')[1]}`,
      more: familyOf(gateway) === 6 ? 'nodad' : '',
    }));
    // One that the kernel gives itself is of no use for seconds, and without one it asks no IPv6 neighbour.
    const linkLocal = subnets.some(({ gateway }) => familyOf(gateway) === 6)
      ? [`link set ${bridge} addrgenmode none`, `addr replace ${LINK_LOCAL} dev ${bridge} nodad`]
      : [];
    await ip([
      ...linkLocal,
      ...gateways.map(({ address, more }) => `addr replace ${address} dev ${bridge} ${more}`),
      `link set ${bridge} up`,
    ]);
    await tune(network);
    // A port's place goes with the bridge; the interface and its connections do not.
    for (const port of ports.filter(interfaceExists))
      await ip([
        `link set ${port} master ${bridge}`,
        `link set ${port} type bridge_slave isolated on flood off mcast_flood off`,
      ]);
  } catch (error) {
    if (made) await lowerBridge(bridge).catch(() => {});
    throw new BerthError(
      'unavailable',
      `the bridge ${bridge} of network ${network.name} cannot be made: ${errorMessage(error)}; workloads run without it with --network none`,
      { cause: error },
    );
  }
}

/** Removes ports whose supervisor did not: who still holds the other end is cut off. */
export async function removePorts(ports: readonly string[]): Promise<void> {
  const left = ports.filter(interfaceExists);
  // One may be going already.
  if (left.length > 0)
    await run('ip', ['-force', '-batch', '-'], {
      input: left.map((port) => `link del ${port}\n`).join(''),
    }).catch(() => {});
}

export async function lowerBridge(bridge: string): Promise<void> {
  if (interfaceExists(bridge)) await ip([`link del ${bridge}`]);
}

async function ip(commands: readonly string[]): Promise<void> {
  await run('ip', ['-batch', '-'], { input: `${commands.join('\n')}\n` });
}

async function tune({ bridge, subnets }: Network): Promise<void> {
  const four = `${INTERFACES}/${bridge}`;
  await set('/proc/sys/net/ipv4/ip_forward', '1');
  // Workloads do not reach each other but through the host, which answers for all of them.
  await set(`${four}/proxy_arp_pvlan`, '1');
  await set(`${four}/send_redirects`, '0');
  // Ports that are published on 127.0.0.1 lead here; the firewall lets nothing else of 127.0.0.0/8 through.
  await set(`${four}/route_localnet`, '1');
  if (!subnets.some(({ gateway }) => familyOf(gateway) === 6)) return;
  const six = '/proc/sys/net/ipv6/conf';
  await set(`${six}/${bridge}/accept_ra`, '0');
  // A host that forwards no longer listens to routers, unless it is told to.
  for (const name of await readdir(six)) {
    const path = `${six}/${name}/accept_ra`;
    if (!['all', 'default', bridge].includes(name) && (await readFile(path, 'utf8')).trim() === '1')
      await set(path, '2');
  }
  await set(`${six}/all/forwarding`, '1');
}

/** Written only where it changes something: the files may be read-only, and are often right already. */
async function set(path: string, value: string): Promise<void> {
  if ((await readFile(path, 'utf8')).trim() !== value) await writeFile(path, value);
}
