// Ports: Docker's PortBindings and ExposedPorts <-> what the engine publishes.

import { BerthError, type PortRequest, type WorkloadSpec, type WorkloadView } from '../../core/index.ts';
import { normalAddress } from '../../network/index.ts';
import { FieldError, given, type PortBindingRequest } from '../../wire/index.ts';

/** Fails with FieldError or `unsupported`, naming the port. */
export function toPortRequest({ Port, HostIp, HostPort }: PortBindingRequest): PortRequest {
  const [number = '', protocol = 'tcp'] = Port.split('/');
  if (protocol !== 'tcp' && protocol !== 'udp')
    throw new BerthError('unsupported', `port ${Port} cannot be published: protocols are tcp and udp`);
  return {
    port: portNumber(number, `HostConfig.PortBindings.${Port}`),
    protocol,
    hostAddress: HostIp === '' ? '' : normalAddress(HostIp),
    ...given('hostPorts', hostPorts(HostPort, `HostConfig.PortBindings.${Port}.HostPort`)),
  };
}

function hostPorts(text: string, field: string): PortRequest['hostPorts'] {
  if (text === '' || text === '0') return undefined;
  const [first = '', last = first, more] = text.split('-');
  const range = { first: portNumber(first, field), last: portNumber(last, field) };
  if (more !== undefined || range.last < range.first)
    throw new FieldError(field, `${text} is no range of ports`);
  return range;
}

function portNumber(text: string, field: string): number {
  const number = Number(text);
  if (/^\d+$/.test(text) && number >= 1 && number <= 65535) return number;
  throw new FieldError(field, `${text} is no port: ports are numbers from 1 to 65535`);
}

/** HostConfig.PortBindings, as they were asked for. */
export function fromPortRequests(spec: WorkloadSpec) {
  const bindings: Record<string, { HostIp: string; HostPort: string }[]> = {};
  for (const { port, protocol, hostAddress, hostPorts: range } of spec.ports) {
    const HostPort =
      range === undefined
        ? ''
        : range.first === range.last
          ? `${range.first}`
          : `${range.first}-${range.last}`;
    const key = `${port}/${protocol}`;
    bindings[key] = [...(bindings[key] ?? []), { HostIp: hostAddress, HostPort }];
  }
  return bindings;
}

/** NetworkSettings.Ports: where each exposed or published port is reached; null: nowhere. */
export function toPorts(view: WorkloadView) {
  const ports: Record<string, { HostIp: string; HostPort: string }[] | null> = {};
  if (!isUp(view)) return ports;
  for (const exposed of view.exposedPorts) ports[exposed.includes('/') ? exposed : `${exposed}/tcp`] = null;
  for (const { port, protocol, hostAddress, hostPort } of view.published) {
    const key = `${port}/${protocol}`;
    ports[key] = [...(ports[key] ?? []), { HostIp: hostAddress, HostPort: String(hostPort) }];
  }
  return ports;
}

/** Ports of GET /containers/json. */
export function toPortList(view: WorkloadView) {
  const published = isUp(view) ? view.published : [];
  const known = new Set(published.map(({ port, protocol }) => `${port}/${protocol}`));
  const exposed = view.exposedPorts.flatMap((text) => {
    const [port, Type = 'tcp'] = text.split('/');
    const PrivatePort = Number(port);
    return Number.isInteger(PrivatePort) && !known.has(`${port}/${Type}`) ? [{ PrivatePort, Type }] : [];
  });
  const reached = published.map(({ port, protocol, hostAddress, hostPort }) => ({
    ...{ IP: hostAddress, PrivatePort: port, PublicPort: hostPort, Type: protocol },
  }));
  return [...reached, ...exposed];
}

export function isUp({ state }: WorkloadView): boolean {
  return state === 'running' || state === 'paused';
}
