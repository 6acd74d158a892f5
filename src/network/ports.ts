// Which ports of the host workloads are published on.

import { readFile } from 'node:fs/promises';
import { BerthError, type PortRequest, type PublishedPort } from '../core/index.ts';
import { familyOf, formatAddress, parseAddress } from './address.ts';

/** RFC 6335 section 6: dynamic ports. */
const DYNAMIC = { first: 49152, last: 65535 };

type Protocol = PublishedPort['protocol'];

interface Taken {
  readonly address: string;
  readonly by: string;
}

export interface PortOwner {
  readonly id: string;
  readonly name: string;
}

const ANYWHERE = new Set(['0.0.0.0', '::']);

/** Ports that workloads hold, and those that programs of the host listen on. */
export class PortBook {
  readonly #held = new Map<string, (Taken & { readonly id: string })[]>();
  #nextDynamic = DYNAMIC.first;

  /**
   * Finds a port of the host for each request, keeping those of `before` that are still free. Fails with `conflict`, naming the
   * port and who has it, and holds nothing then.
   */
  async publish(
    owner: PortOwner,
    requests: readonly PortRequest[],
    before: readonly PublishedPort[],
  ): Promise<readonly PublishedPort[]> {
    if (requests.length === 0) return [];
    const listening = await listeningPorts(new Set(requests.map(({ protocol }) => protocol)));
    const published: PublishedPort[] = [];
    try {
      for (const request of requests) {
        const last = before.find((port) => fits(request, port));
        const port = this.#choose(request, last, listening);
        this.hold(owner, port);
        published.push(port);
      }
      return published;
    } catch (error) {
      this.release(owner.id, published);
      throw error;
    }
  }

  hold(owner: PortOwner, { protocol, hostPort, hostAddress }: PublishedPort): void {
    const key = `${protocol}/${hostPort}`;
    const entry = { address: hostAddress, by: `container ${owner.name}`, id: owner.id };
    this.#held.set(key, [...(this.#held.get(key) ?? []), entry]);
  }

  release(id: string, ports: readonly PublishedPort[]): void {
    for (const { protocol, hostPort } of ports) {
      const key = `${protocol}/${hostPort}`;
      const left = (this.#held.get(key) ?? []).filter((entry) => entry.id !== id);
      if (left.length === 0) this.#held.delete(key);
      else this.#held.set(key, left);
    }
  }

  #choose(
    request: PortRequest,
    last: PublishedPort | undefined,
    listening: ReadonlyMap<string, readonly Taken[]>,
  ): PublishedPort {
    const { port, protocol, hostAddress, hostPorts } = request;
    const rival = (hostPort: number) => {
      const key = `${protocol}/${hostPort}`;
      const all = [...(this.#held.get(key) ?? []), ...(listening.get(key) ?? [])];
      return all.find(({ address }) => clash(address, hostAddress));
    };
    if (last !== undefined && rival(last.hostPort) === undefined) return last;
    const { first, last: end } = hostPorts ?? DYNAMIC;
    const size = end - first + 1;
    const begin = hostPorts === undefined ? this.#nextDynamic : first;
    for (let step = 0; step < size; step++) {
      const hostPort = first + ((begin - first + step) % size);
      const found = rival(hostPort);
      if (found === undefined) {
        if (hostPorts === undefined) this.#nextDynamic = hostPort === end ? first : hostPort + 1;
        return { port, protocol, hostAddress, hostPort };
      }
      if (size === 1)
        throw new BerthError(
          'conflict',
          `Bind for ${hostAddress}:${hostPort} failed: port is already allocated to ${found.by}`,
        );
    }
    throw new BerthError('exhausted', `all ports ${first}-${end}/${protocol} of ${hostAddress} are in use`);
  }
}

function fits(request: PortRequest, port: PublishedPort): boolean {
  const { first, last } = request.hostPorts ?? DYNAMIC;
  return (
    request.port === port.port &&
    request.protocol === port.protocol &&
    request.hostAddress === port.hostAddress &&
    port.hostPort >= first &&
    port.hostPort <= last
  );
}

/** Every address of a family is any of them; `::` of a listener takes IPv4 too. */
function clash(one: string, other: string): boolean {
  if (one === other) return true;
  if (one === '::' || other === '::') return true;
  return (ANYWHERE.has(one) || ANYWHERE.has(other)) && familyOf(one) === familyOf(other);
}

/** TCP_LISTEN of include/net/tcp_states.h; a UDP socket that is not connected says TCP_CLOSE. */
const WAITING: Readonly<Record<Protocol, string>> = { tcp: '0A', udp: '07' };

/**
 * Sockets of this network namespace that wait for others: Documentation/networking/proc_net_tcp.rst. For each of these
 * files the kernel goes through tables of all connections there could be, for a millisecond.
 */
async function listeningPorts(protocols: ReadonlySet<Protocol>): Promise<Map<string, readonly Taken[]>> {
  const found = new Map<string, readonly Taken[]>();
  const files = [...protocols].flatMap((protocol) => [
    { protocol, name: protocol },
    { protocol, name: `${protocol}6` },
  ]);
  const texts = await Promise.all(
    files.map(({ name }) => readFile(`/proc/self/net/${name}`, 'utf8').catch(() => '')),
  );
  for (const [index, text] of texts.entries()) {
    const protocol = files[index]?.protocol ?? 'tcp';
    for (const line of text.split('\n').slice(1)) {
      const [, local = '', , state] = line.trim().split(/\s+/);
      if (state !== WAITING[protocol]) continue;
      const [address = '', port = ''] = local.split(':');
      const key = `${protocol}/${Number.parseInt(port, 16)}`;
      const entry = { address: fromProc(address), by: 'a program of this host' };
      found.set(key, [...(found.get(key) ?? []), entry]);
    }
  }
  return found;
}

/** 32 bit words in the host's order, as hexadecimal digits. */
function fromProc(hex: string): string {
  const words = hex.match(/.{8}/g) ?? [];
  const ordered = words.map((word) => word.match(/../g)?.reverse().join('') ?? '').join('');
  if (words.length === 1) return formatAddress(BigInt(`0x${ordered}`), 4);
  const value = BigInt(`0x${ordered || '0'}`);
  // IPv4 on an IPv6 socket.
  if (value >> 32n === 0xffffn) return formatAddress(value & 0xffffffffn, 4);
  return formatAddress(value, 6);
}

/** As it is compared and shown. Fails with `invalid-argument`. */
export function normalAddress(text: string): string {
  const family = familyOf(text);
  if (family === undefined)
    throw new BerthError('invalid-argument', `invalid host address to publish a port on: ${text}`);
  return formatAddress(parseAddress(text), family);
}
