// A network's bridge on the host. Made when it is first needed, and again when somebody took it away. A bridge is Berth's when it
// has the MAC address that follows from the network's id: the kernel sets it in the same step that makes the bridge.

import { existsSync } from 'node:fs';
import { readdir, readFile, writeFile } from 'node:fs/promises';
import { BerthError, type BorrowedBridge, errorMessage, type Network } from '../core/index.ts';
import { run } from '../host/index.ts';
import { familyOf, macOf } from './address.ts';

/** Of this process's network namespace, which /sys may not be about. */
const INTERFACES = '/proc/sys/net/ipv4/conf';
const INTERFACES_IPV6 = '/proc/sys/net/ipv6/conf';

const LINK_LOCAL = 'fe80::1/64';

const PORT_KINDS = ['veth', 'tun'];

interface Link {
  readonly ifname: string;
  readonly address?: string;
  readonly linkinfo?: { readonly info_kind?: string };
}

export function interfaceExists(name: string): boolean {
  return existsSync(`${INTERFACES}/${name}`);
}

export async function bridgeOwner({
  id,
  bridge,
}: Pick<Network, 'id' | 'bridge'>): Promise<'nobody' | 'berth' | 'another'> {
  if (!interfaceExists(bridge)) return 'nobody';
  const [link] = await links('dev', bridge);
  return link !== undefined && isBridge(link) && link.address === macOf(id) ? 'berth' : 'another';
}

/** Fails with `conflict` when an interface of somebody else is no bridge, or joins interfaces other than `ports`. */
export async function checkBridge(bridge: string, ports: readonly string[]): Promise<void> {
  const [link] = await links('dev', bridge);
  if (link === undefined || !isBridge(link))
    throw new BerthError(
      'conflict',
      `interface ${bridge} exists and is no bridge: give com.docker.network.bridge.name another value, or leave it out`,
    );
  const others = (await links('master', bridge)).map(({ ifname }) => ifname);
  const foreign = others.filter((name) => !ports.includes(name));
  if (foreign.length > 0)
    throw new BerthError(
      'conflict',
      `bridge ${bridge} joins other interfaces (${foreign.join(', ')}), whose neighbours Berth would answer for: give com.docker.network.bridge.name a bridge without any, or leave it out`,
    );
}

function isBridge({ linkinfo }: Link): boolean {
  return linkinfo?.info_kind === 'bridge';
}

async function links(...selector: readonly string[]): Promise<readonly Link[]> {
  const { stdout } = await run('ip', ['-json', '-details', 'link', 'show', ...selector]);
  return stdout.trim() === '' ? [] : (JSON.parse(stdout) as Link[]);
}

/** What `raiseBridge` will change of an existing bridge. */
export async function inspectBridge(network: Network): Promise<BorrowedBridge> {
  const { stdout } = await run('ip', ['-json', 'addr', 'show', 'dev', network.bridge]);
  const [link] = JSON.parse(stdout) as { addr_info: { local: string; prefixlen: number }[] }[];
  const present = link?.addr_info.map(({ local, prefixlen }) => `${local}/${prefixlen}`) ?? [];
  const settings: Record<string, string> = {};
  for (const [path] of settingsOf(network)) settings[path] = (await readFile(path, 'utf8')).trim();
  return { addresses: addressesOf(network).filter((address) => !present.includes(address)), settings };
}

/**
 * Makes the bridge with its gateways' addresses; of one that exists only what is missing. `ports` of workloads that run are put
 * into it again. Fails with `unavailable`, saying what is needed.
 */
export async function raiseBridge(network: Network, mtu: number, ports: readonly string[]): Promise<void> {
  const { bridge } = network;
  const made = !interfaceExists(bridge);
  try {
    // It would otherwise take the lowest address of its ports, and change it with them.
    if (made) await ip([`link add ${bridge} address ${macOf(network.id)} mtu ${mtu} type bridge`]);
    await ip([
      // A link-local address that the kernel gives itself is of no use for seconds.
      ...(network.borrowed === undefined && hasIpv6(network) ? [`link set ${bridge} addrgenmode none`] : []),
      ...addressesOf(network).map(
        (address) => `addr replace ${address} dev ${bridge} ${address.includes(':') ? 'nodad' : ''}`,
      ),
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
    if (made) await lowerBridge(network).catch(() => {});
    throw new BerthError(
      'unavailable',
      `the bridge ${bridge} of network ${network.name} cannot be made: ${errorMessage(error)}; workloads run without it with --network none`,
      { cause: error },
    );
  }
}

/** The gateways' addresses, and the one without which the kernel asks no IPv6 neighbour. */
function addressesOf(network: Network): readonly string[] {
  const gateways = network.subnets.map(({ subnet, gateway }) => `${gateway}/${subnet.split('/')[1]}`);
  return hasIpv6(network) ? [LINK_LOCAL, ...gateways] : gateways;
}

function hasIpv6({ subnets }: Network): boolean {
  return subnets.some(({ gateway }) => familyOf(gateway) === 6);
}

/**
 * Removes ports whose supervisor did not: who still holds the other end is cut off. The names have 44 random bits, and an
 * interface of a kind that no supervisor makes is left alone all the same.
 */
export async function removePorts(ports: readonly string[]): Promise<void> {
  const left: string[] = [];
  // One may be going already.
  for (const port of ports.filter(interfaceExists)) {
    const [link] = await links('dev', port).catch(() => []);
    if (PORT_KINDS.includes(link?.linkinfo?.info_kind ?? '')) left.push(port);
  }
  if (left.length > 0)
    await run('ip', ['-force', '-batch', '-'], {
      input: left.map((port) => `link del ${port}\n`).join(''),
    }).catch(() => {});
}

/** Removes ports, named as Berth names them, of bridges that Berth made, but for the known ones. */
export async function removeOtherPorts(
  bridges: readonly Pick<Network, 'id' | 'bridge'>[],
  known: readonly string[],
): Promise<void> {
  for (const network of bridges) {
    if ((await bridgeOwner(network)) !== 'berth') continue;
    const ports = (await links('master', network.bridge)).map(({ ifname }) => ifname);
    await removePorts(ports.filter((name) => /^be[0-9a-f]{11}$/.test(name) && !known.includes(name)));
  }
}

/** Removes a bridge that is Berth's; one of somebody else is left as it was before. */
export async function lowerBridge(network: Network): Promise<void> {
  const { id, bridge, borrowed } = network;
  if (bridge === '' || !interfaceExists(bridge)) return;
  const [link] = await links('dev', bridge);
  if (link === undefined || !isBridge(link)) return;
  if (link.address === macOf(id)) return await ip([`link del ${bridge}`]);
  if (borrowed === undefined) return;
  const commands = borrowed.addresses.map((address) => `addr del ${address} dev ${bridge}\n`);
  // An address that somebody removed already is no failure.
  await run('ip', ['-force', '-batch', '-'], { input: commands.join('') }).catch(() => {});
  for (const [path, value] of Object.entries(borrowed.settings)) await set(path, value);
}

async function ip(commands: readonly string[]): Promise<void> {
  await run('ip', ['-batch', '-'], { input: `${commands.join('\n')}\n` });
}

/** The kernel's settings for the bridge itself: paths and values. */
function settingsOf(network: Network): readonly (readonly [string, string])[] {
  const four = `${INTERFACES}/${network.bridge}`;
  return [
    // Workloads do not reach each other but through the host, which answers for all of them.
    [`${four}/proxy_arp_pvlan`, '1'],
    [`${four}/send_redirects`, '0'],
    // Ports that are published on 127.0.0.1 lead here; the firewall lets nothing else of 127.0.0.0/8 through.
    [`${four}/route_localnet`, '1'],
    ...(hasIpv6(network) ? [[`${INTERFACES_IPV6}/${network.bridge}/accept_ra`, '0'] as const] : []),
  ];
}

async function tune(network: Network): Promise<void> {
  await set('/proc/sys/net/ipv4/ip_forward', '1');
  for (const [path, value] of settingsOf(network)) await set(path, value);
  if (!hasIpv6(network)) return;
  // A host that forwards no longer listens to routers, unless it is told to.
  for (const name of await readdir(INTERFACES_IPV6)) {
    const path = `${INTERFACES_IPV6}/${name}/accept_ra`;
    if (!['all', 'default', network.bridge].includes(name) && (await readFile(path, 'utf8')).trim() === '1')
      await set(path, '2');
  }
  await set(`${INTERFACES_IPV6}/all/forwarding`, '1');
}

/** Written only where it changes something: the files may be read-only, and are often right already. */
async function set(path: string, value: string): Promise<void> {
  if ((await readFile(path, 'utf8')).trim() !== value) await writeFile(path, value);
}
