// The networks of a new workload, from its flags. Pure.

import type { CreateRequest, EndpointRequest } from '../../sdk/types.ts';
import { CliError } from '../errors.ts';

interface EndpointFlags {
  readonly aliases: readonly string[];
  readonly ip: string | undefined;
  readonly ip6: string | undefined;
  readonly mac: string | undefined;
}

export interface NetworkFlags extends EndpointFlags {
  /** NAME, or name=NAME,alias=…,ip=…; the first one is that of the flags beside it. */
  readonly networks: readonly string[];
}

export function endpointRequest({ aliases, ip, ip6, mac }: EndpointFlags): EndpointRequest {
  const addresses = {
    ...(ip === undefined ? {} : { IPv4Address: ip }),
    ...(ip6 === undefined ? {} : { IPv6Address: ip6 }),
  };
  return {
    ...(aliases.length === 0 ? {} : { Aliases: [...aliases] }),
    ...(Object.keys(addresses).length === 0 ? {} : { IPAMConfig: addresses }),
    ...(mac === undefined ? {} : { MacAddress: mac }),
  };
}

/** Fails with CliError, exit code 125. */
export function networkRequest(flags: NetworkFlags): {
  readonly mode: string | undefined;
  readonly config: CreateRequest['NetworkingConfig'];
} {
  const parsed = flags.networks.map(parseNetwork);
  const [first = { name: 'default', endpoint: NOTHING }, ...others] = parsed;
  const main = endpointRequest({
    aliases: [...first.endpoint.aliases, ...flags.aliases],
    ip: flags.ip ?? first.endpoint.ip,
    ip6: flags.ip6 ?? first.endpoint.ip6,
    mac: flags.mac ?? first.endpoint.mac,
  });
  const entries = [
    ...(Object.keys(main).length > 0 ? [[first.name, main] as const] : []),
    ...others.map(({ name, endpoint }) => [name, endpointRequest(endpoint)] as const),
  ];
  const config = entries.length === 0 ? undefined : { EndpointsConfig: Object.fromEntries(entries) };
  return { mode: parsed[0]?.name, config };
}

const NOTHING: EndpointFlags = { aliases: [], ip: undefined, ip6: undefined, mac: undefined };

function parseNetwork(text: string): { readonly name: string; readonly endpoint: EndpointFlags } {
  if (!text.includes('=')) return { name: text, endpoint: NOTHING };
  const values = new Map<string, string[]>();
  for (const part of text.split(',')) {
    const [key = '', value] = part.split('=', 2);
    if (value === undefined || !['name', 'alias', 'ip', 'ip6', 'mac-address'].includes(key))
      throw new CliError(
        `invalid --network ${JSON.stringify(text)}: expected name=NAME[,alias=…][,ip=…][,ip6=…]`,
        125,
      );
    values.set(key, [...(values.get(key) ?? []), value]);
  }
  const one = (key: string) => values.get(key)?.at(-1);
  const name = one('name');
  if (name === undefined)
    throw new CliError(`invalid --network ${JSON.stringify(text)}: it has no name=NAME`, 125);
  return {
    name,
    endpoint: { aliases: values.get('alias') ?? [], ip: one('ip'), ip6: one('ip6'), mac: one('mac-address') },
  };
}
