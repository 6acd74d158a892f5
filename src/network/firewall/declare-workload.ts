// What a workload needs in the tables: who it may claim to be, how fast it may be, the ports it publishes.

import { familyOf } from './address-classes.ts';
import { formatHex } from './address-range.ts';
import { compilePolicy, declareJumps } from './compile-policy.ts';
import type { Declaration, Element } from './declaration.ts';
import { PROTOCOL } from './protocols.ts';
import { addressesOf, type FirewallEndpoint, type FirewallWorkload, type PublishedPort } from './types.ts';

/** Beside what is due in a second, which the kernel always grants at once: some of the largest unsplit segments. */
const BURST_BYTES = 256 << 10;

export function declareWorkload(workload: FirewallWorkload): Declaration {
  const publishing = new Set(workload.published.map(({ address }) => address));
  const limits = workload.endpoints.flatMap(limitsOf);
  const { policy } = workload;
  const owner = { kind: 'workload', id: workload.id, name: workload.name } as const;
  return {
    sets: new Map(),
    chains: new Map(),
    ...(policy === undefined ? {} : compilePolicy(owner, policy)),
    limits: new Map(limits.map(({ name, text }) => [name, text])),
    elements: [
      ...workload.endpoints.flatMap(declareEndpoint),
      ...limits.map(({ map, port, name }) => bridge(map, port, `"${name}"`)),
      ...workload.published.map(declarePort),
      ...(policy === undefined
        ? []
        : addressesOf(workload).flatMap((address) => declareJumps(owner, address))),
      ...[...publishing].map((address) => inet(`self${familyOf(address)}`, `${address} . ${address}`)),
    ],
  };
}

function declareEndpoint(endpoint: FirewallEndpoint): Element[] {
  const port = `"${endpoint.port}"`;
  const sender = `${port} . ${endpoint.mac}`;
  return [
    bridge('ports', port),
    bridge('macs', sender),
    bridge('receivers', port),
    bridge('spoofed', port),
    ...endpoint.addresses.flatMap((address) => [
      inet(`denied_in${familyOf(address)}`, address),
      inet(`denied_out${familyOf(address)}`, address),
    ]),
    ...endpoint.addresses.map((address) => bridge(`senders${familyOf(address)}`, `${sender} . ${address}`)),
    ...endpoint.addresses
      .filter((address) => familyOf(address) === 6)
      .map((address) => bridge('targets6', `${sender} . 0x${formatHex(address)}`)),
  ];
}

/** Named after the rate: a limit cannot be changed, only replaced. */
function limitsOf({ port, rate }: FirewallEndpoint) {
  const of = (map: 'rate_in' | 'rate_out', bytesPerSecond: number | undefined) => {
    if (bytesPerSecond === undefined) return [];
    const bytes = Math.max(1, Math.round(bytesPerSecond));
    return [
      {
        map,
        port: `"${port}"`,
        name: `${map}_${Buffer.from(port).toString('hex')}_${bytes}`,
        text: `{ rate over ${bytes} bytes/second burst ${BURST_BYTES} bytes; }`,
      },
    ];
  };
  return [...of('rate_in', rate?.inBytesPerSecond), ...of('rate_out', rate?.outBytesPerSecond)];
}

function declarePort({ protocol, hostAddress, hostPort, address, port }: PublishedPort): Element {
  const family = familyOf(address);
  const target = `${address} . ${port}`;
  return isEverywhere(hostAddress)
    ? inet(`published_any${family}`, `${PROTOCOL[protocol]} . ${hostPort}`, target)
    : inet(`published${family}`, `${hostAddress} . ${PROTOCOL[protocol]} . ${hostPort}`, target);
}

export function isEverywhere(hostAddress: string): boolean {
  return ['', '0.0.0.0', '::'].includes(hostAddress);
}

function inet(set: string, key: string, value?: string): Element {
  return { family: 'inet', set, key, ...(value === undefined ? {} : { value }) };
}

function bridge(set: string, key: string, value?: string): Element {
  return { family: 'bridge', set, key, ...(value === undefined ? {} : { value }) };
}
