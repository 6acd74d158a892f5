// Networks and what workloads want of them, as Docker's clients write them.

import { FieldError, Fields, given } from './fields.ts';

/** NetworkingConfig.EndpointsConfig.X, or EndpointConfig of a connect. */
export interface EndpointRequest {
  readonly Aliases: readonly string[];
  readonly IPv4Address: string;
  readonly IPv6Address: string;
  readonly MacAddress: string;
}

export interface PortBindingRequest {
  /** 80/tcp */
  readonly Port: string;
  readonly HostIp: string;
  /** '', a number, or FIRST-LAST. */
  readonly HostPort: string;
}

export interface NetworkCreateRequest {
  readonly Name: string;
  readonly Driver: string;
  readonly Internal: boolean;
  readonly EnableIPv6: boolean;
  readonly Labels: Readonly<Record<string, string>>;
  readonly Options: Readonly<Record<string, string>>;
  readonly IpamDriver: string;
  readonly Config: readonly { readonly Subnet: string; readonly Gateway: string; readonly IPRange: string }[];
}

export function readNetworkCreate(body: unknown): NetworkCreateRequest {
  const fields = new Fields(body);
  const ipam = fields.object('IPAM');
  const text = (config: Fields, key: string) => config.string(key) ?? '';
  if (
    ipam?.objects('Config')?.some((config) => Object.keys(config.map('AuxiliaryAddresses') ?? {}).length > 0)
  )
    throw new FieldError(
      'IPAM.Config.AuxiliaryAddresses',
      'not supported: leave these addresses out of IPRange',
    );
  return {
    Name: fields.string('Name') ?? '',
    Driver: fields.string('Driver') ?? '',
    Internal: fields.boolean('Internal') ?? false,
    EnableIPv6: fields.boolean('EnableIPv6') ?? false,
    Labels: fields.map('Labels') ?? {},
    Options: fields.map('Options') ?? {},
    IpamDriver: ipam?.string('Driver') ?? '',
    Config: (ipam?.objects('Config') ?? []).map((config) => ({
      Subnet: text(config, 'Subnet'),
      Gateway: text(config, 'Gateway'),
      IPRange: text(config, 'IPRange'),
    })),
  };
}

export interface NetworkConnectRequest {
  readonly Container: string;
  readonly EndpointConfig: EndpointRequest;
}

export function readNetworkConnect(body: unknown): NetworkConnectRequest {
  const fields = new Fields(body);
  const Container = fields.string('Container') ?? '';
  if (Container === '') throw new FieldError('Container', 'it is empty: name the workload');
  return { Container, EndpointConfig: readEndpoint(fields.object('EndpointConfig')) };
}

function readEndpoint(fields: Fields | undefined): EndpointRequest {
  const ipam = fields?.object('IPAMConfig');
  return {
    Aliases: fields?.strings('Aliases') ?? [],
    IPv4Address: ipam?.string('IPv4Address') ?? '',
    IPv6Address: ipam?.string('IPv6Address') ?? '',
    MacAddress: fields?.string('MacAddress') ?? '',
  };
}

/** By network, in the client's order. */
export function readEndpoints(config: Fields | undefined): ReadonlyMap<string, EndpointRequest> {
  const endpoints = config?.object('EndpointsConfig');
  return new Map((endpoints?.keys ?? []).map((name) => [name, readEndpoint(endpoints?.object(name))]));
}

/** {"80/tcp": [{"HostIp": "", "HostPort": "8080"}]}; a port without bindings is published anywhere. */
export function readPortBindings(bindings: Fields | undefined): readonly PortBindingRequest[] {
  return (bindings?.keys ?? []).flatMap((Port) => {
    const list = bindings?.objects(Port) ?? [];
    const read = list.map((binding) => ({
      ...{ Port, HostIp: binding.string('HostIp') ?? '', HostPort: binding.string('HostPort') ?? '' },
    }));
    return read.length > 0 ? read : [{ Port, HostIp: '', HostPort: '' }];
  });
}

/** Only what says something. */
export function fromEndpoint(endpoint: EndpointRequest) {
  return {
    aliases: endpoint.Aliases,
    ...given('ipv4', endpoint.IPv4Address || undefined),
    ...given('ipv6', endpoint.IPv6Address || undefined),
    ...given('mac', endpoint.MacAddress || undefined),
  };
}
