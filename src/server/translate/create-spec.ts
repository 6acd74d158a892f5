// POST /containers/create: Docker's Config and HostConfig -> WorkloadSpec.

import {
  BerthError,
  type DeviceSpec,
  type HealthSpec,
  type LogSpec,
  type NetworkAttachment,
  type WorkloadSpec,
} from '../../core/index.ts';
import {
  type CreateRequest,
  type DeviceRequest,
  fromEndpoint,
  given,
  type HealthRequest,
  type HostConfigRequest,
  parseBytes,
} from '../../wire/index.ts';
import { chooseIsolation } from './isolation.ts';
import { toMounts } from './mounts.ts';
import { policyOf, rateOf } from './network-labels.ts';
import { toPortRequest } from './publishing.ts';
import { refuseUnsupported } from './refusals.ts';
import { toResources, toRestart } from './resources.ts';
import { toSecurity } from './security.ts';

export interface TranslatedCreate {
  readonly spec: WorkloadSpec;
  readonly warnings: readonly string[];
}

/** Fails with `invalid-argument` or `unsupported`, naming the option; what changes nothing becomes a warning. */
export function toWorkloadSpec(request: CreateRequest): TranslatedCreate {
  const host = request.HostConfig;
  if (request.Image === '')
    throw new BerthError('invalid-argument', 'Config cannot be empty in order to create a container');
  refuseUnsupported(request);
  const warnings: string[] = [];
  const spec = {
    image: request.Image,
    isolation: chooseIsolation(request),
    ...toProcess(request),
    ...toStdio(request),
    labels: request.Labels,
    ...given('stopSignal', request.StopSignal || undefined),
    ...given('stopTimeoutSeconds', request.StopTimeout),
    ...given('health', request.Healthcheck && toHealth(request.Healthcheck)),
    exposedPorts: request.ExposedPorts,
    autoRemove: host.AutoRemove,
    restart: toRestart(host.RestartPolicy),
    ...toNetworks(request),
    ...rateOf(host.Annotations, request.Labels),
    ...policyOf(host.Annotations, request.Labels),
    ...toNamespaces(host),
    mounts: toMounts(request),
    devices: host.Devices.map(toDevice),
    sysctls: host.Sysctls,
    extraHosts: host.ExtraHosts,
    dns: host.Dns,
    resources: toResources(host),
    security: toSecurity(host, warnings),
    readonlyRoot: host.ReadonlyRootfs,
    ...given('writableBytes', toWritableBytes(host.StorageOpt)),
    init: host.Init,
    log: toLog(host.LogConfig),
    annotations: toAnnotations(request, host.Annotations),
  };
  return { spec, warnings };
}

function toWritableBytes({ size, ...others }: Readonly<Record<string, string>>): number | undefined {
  const [unknown] = Object.keys(others);
  if (unknown !== undefined)
    throw new BerthError('unsupported', `HostConfig.StorageOpt ${unknown} is not supported: only size is`);
  return size === undefined ? undefined : parseBytes('HostConfig.StorageOpt size', size);
}

const BOOT_KEY = 'berth.boot';

/** How a VM comes up may be told by a label, too: not every client can set annotations. */
function toAnnotations(request: CreateRequest, given: Readonly<Record<string, string>>) {
  const label = request.Labels[BOOT_KEY];
  return label === undefined ? given : { [BOOT_KEY]: label, ...given };
}

function toNetworks(request: CreateRequest) {
  const host = request.HostConfig;
  const networkMode = request.NetworkDisabled ? 'none' : host.NetworkMode || 'default';
  const attachments = [...request.Endpoints].map(([network, endpoint]) => ({
    network,
    ...fromEndpoint(endpoint),
  }));
  // Docker's clients send the address of the first network's interface beside it, too.
  const [first] = attachments;
  const mac = request.MacAddress === '' ? {} : { mac: request.MacAddress };
  const main = first ?? { network: networkMode, aliases: [] };
  const isFixed = networkMode === 'none' || networkMode === 'host' || networkMode.startsWith('container:');
  // They also name the mode itself as a network, saying nothing of it.
  const said = isFixed
    ? attachments.filter((said) => said.network !== networkMode || saysSomething(said))
    : attachments;
  return {
    networkMode,
    networks: request.MacAddress === '' ? said : [{ ...main, ...mac }, ...said.slice(1)],
    ports: host.PortBindings.map(toPortRequest),
    publishAllPorts: host.PublishAllPorts,
  };
}

function saysSomething({ network: _, aliases, ...addresses }: NetworkAttachment): boolean {
  return aliases.length > 0 || Object.keys(addresses).length > 0;
}

function toProcess(request: CreateRequest) {
  return {
    ...given('entrypoint', request.Entrypoint),
    ...given('command', request.Cmd),
    env: request.Env,
    ...given('workingDir', request.WorkingDir || undefined),
    ...given('user', request.User || undefined),
    additionalGroups: request.HostConfig.GroupAdd,
    ...given('hostname', request.Hostname || undefined),
    domainname: request.Domainname,
  };
}

function toStdio(request: CreateRequest) {
  return {
    tty: request.Tty,
    ...given('consoleSize', request.HostConfig.ConsoleSize),
    openStdin: request.OpenStdin,
    stdinOnce: request.StdinOnce,
    attachStdin: request.AttachStdin,
    attachStdout: request.AttachStdout,
    attachStderr: request.AttachStderr,
  };
}

function toNamespaces(host: HostConfigRequest) {
  return {
    ipc: namespace('IpcMode', host.IpcMode, ['', 'private', 'shareable', 'none']),
    pidMode: namespace('PidMode', host.PidMode, ['', 'private']),
  };
}

function namespace(field: string, mode: string, ownModes: readonly string[]): 'private' | 'host' {
  if (mode === 'host') return 'host';
  if (ownModes.includes(mode)) return 'private';
  throw new BerthError('unsupported', `HostConfig.${field} ${mode} is not supported: use host or private`);
}

function toHealth(health: HealthRequest): HealthSpec {
  const ms = (field: string, nanoseconds: number) => {
    if (nanoseconds !== 0 && nanoseconds < 1e6)
      throw new BerthError('invalid-argument', `${field} in Healthcheck cannot be less than 1ms`);
    return nanoseconds / 1e6;
  };
  if (health.Retries < 0)
    throw new BerthError('invalid-argument', 'Retries in Healthcheck cannot be negative');
  return {
    test: health.Test,
    intervalMs: ms('Interval', health.Interval),
    timeoutMs: ms('Timeout', health.Timeout),
    startPeriodMs: ms('StartPeriod', health.StartPeriod),
    startIntervalMs: ms('StartInterval', health.StartInterval),
    retries: health.Retries,
  };
}

function toDevice(device: DeviceRequest): DeviceSpec {
  const permissions = device.CgroupPermissions || 'rwm';
  if (!device.PathOnHost.startsWith('/') || !/^[rwm]{1,3}$/.test(permissions))
    throw new BerthError('invalid-argument', `invalid device: ${device.PathOnHost}:${permissions}`);
  return { hostPath: device.PathOnHost, path: device.PathInContainer || device.PathOnHost, permissions };
}

function toLog(config: HostConfigRequest['LogConfig']): LogSpec {
  const type = config?.Type || 'json-file';
  if (type === 'none') return { driver: 'none', maxFiles: 1 };
  if (type !== 'json-file')
    throw new BerthError('unsupported', `log driver ${type} is not supported: use json-file or none`);
  const options = config?.Config ?? {};
  const unknown = Object.keys(options).find((name) => !['max-size', 'max-file'].includes(name));
  if (unknown !== undefined)
    throw new BerthError('invalid-argument', `unknown log opt '${unknown}' for ${type} log driver`);
  const files = Number(options['max-file'] ?? 1);
  if (!Number.isInteger(files) || files < 1)
    throw new BerthError('invalid-argument', 'max-file cannot be less than 1');
  const maxBytes =
    options['max-size'] === undefined ? undefined : parseBytes('max-size', options['max-size']);
  return { driver: 'json-file', maxFiles: files, ...given('maxBytes', maxBytes) };
}
