// Requests that make or change a workload, as Docker's clients send them. Those clients send many members that are
// always empty; what a member means, and whether it can be honoured, is for the reader of these types to say.

import { type ConsoleSize, readConsoleSize } from './exec.ts';
import { FieldError, Fields, given } from './fields.ts';
import { type EndpointRequest, type PortBindingRequest, readEndpoints, readPortBindings } from './network.ts';

export interface HealthRequest {
  readonly Test: readonly string[];
  /** Nanoseconds, as all times here; 0: inherit. */
  readonly Interval: number;
  readonly Timeout: number;
  readonly StartPeriod: number;
  readonly StartInterval: number;
  readonly Retries: number;
}

export interface MountRequest {
  readonly Type: string;
  readonly Source: string;
  readonly Target: string;
  readonly ReadOnly: boolean;
  readonly Propagation: string;
  readonly CreateMountpoint: boolean;
  readonly NonRecursive: boolean;
  readonly ReadOnlyNonRecursive: boolean;
  readonly ReadOnlyForceRecursive: boolean;
  readonly NoCopy: boolean;
  readonly VolumeDriver: string;
  readonly Subpath: string;
  readonly SizeBytes?: number;
  readonly Mode?: number;
  readonly TmpfsOptions: readonly string[];
}

export interface UlimitRequest {
  readonly Name: string;
  readonly Soft: number;
  readonly Hard: number;
}

/** Of one disk: bytes or operations a second. */
export interface DeviceRateRequest {
  readonly Path: string;
  readonly Rate: number;
}

export interface DeviceWeightRequest {
  readonly Path: string;
  readonly Weight: number;
}

/** The part that `update` may change as well. */
export interface ResourcesRequest {
  readonly Memory?: number;
  readonly MemorySwap?: number;
  readonly MemoryReservation?: number;
  readonly NanoCpus?: number;
  readonly CpuQuota?: number;
  readonly CpuPeriod?: number;
  readonly CpuShares?: number;
  readonly CpusetCpus?: string;
  readonly CpusetMems?: string;
  readonly PidsLimit?: number;
  readonly BlkioWeight?: number;
  readonly BlkioDeviceReadBps?: readonly DeviceRateRequest[];
  readonly BlkioDeviceWriteBps?: readonly DeviceRateRequest[];
  readonly BlkioDeviceReadIOps?: readonly DeviceRateRequest[];
  readonly BlkioDeviceWriteIOps?: readonly DeviceRateRequest[];
  readonly BlkioWeightDevice?: readonly DeviceWeightRequest[];
}

export interface RestartPolicyRequest {
  readonly Name: string;
  readonly MaximumRetryCount: number;
}

export interface DeviceRequest {
  readonly PathOnHost: string;
  readonly PathInContainer: string;
  readonly CgroupPermissions: string;
}

export interface HostConfigRequest extends ResourcesRequest {
  readonly Isolation: string;
  readonly Runtime: string;
  readonly Binds: readonly string[];
  readonly Mounts: readonly MountRequest[];
  readonly Tmpfs: Readonly<Record<string, string>>;
  readonly NetworkMode: string;
  readonly PortBindings: readonly PortBindingRequest[];
  readonly PublishAllPorts: boolean;
  readonly Dns: readonly string[];
  readonly ExtraHosts: readonly string[];
  readonly RestartPolicy?: RestartPolicyRequest;
  readonly AutoRemove: boolean;
  readonly LogConfig?: { readonly Type: string; readonly Config: Readonly<Record<string, string>> };
  readonly CapAdd: readonly string[];
  readonly CapDrop: readonly string[];
  readonly SecurityOpt: readonly string[];
  readonly Privileged: boolean;
  readonly ReadonlyRootfs: boolean;
  readonly StorageOpt: Readonly<Record<string, string>>;
  readonly MaskedPaths?: readonly string[];
  readonly ReadonlyPaths?: readonly string[];
  readonly Ulimits: readonly UlimitRequest[];
  readonly ShmSize?: number;
  readonly Sysctls: Readonly<Record<string, string>>;
  readonly Devices: readonly DeviceRequest[];
  readonly GroupAdd: readonly string[];
  readonly OomScoreAdj?: number;
  readonly OomKillDisable: boolean;
  readonly Init: boolean;
  readonly IpcMode: string;
  readonly PidMode: string;
  readonly Annotations: Readonly<Record<string, string>>;
  readonly ConsoleSize?: ConsoleSize;
  /** The object itself, for options that can only be refused. */
  readonly fields: Fields;
}

export interface CreateRequest {
  readonly Image: string;
  readonly Cmd?: readonly string[];
  readonly Entrypoint?: readonly string[];
  readonly Env: readonly string[];
  readonly WorkingDir: string;
  readonly User: string;
  readonly Hostname: string;
  readonly Domainname: string;
  readonly Tty: boolean;
  readonly OpenStdin: boolean;
  readonly StdinOnce: boolean;
  readonly AttachStdin: boolean;
  readonly AttachStdout: boolean;
  readonly AttachStderr: boolean;
  readonly Labels: Readonly<Record<string, string>>;
  readonly StopSignal: string;
  readonly StopTimeout?: number;
  readonly ExposedPorts: readonly string[];
  readonly Volumes: readonly string[];
  readonly Healthcheck?: HealthRequest;
  readonly NetworkDisabled: boolean;
  /** NetworkingConfig.EndpointsConfig */
  readonly Endpoints: ReadonlyMap<string, EndpointRequest>;
  /** Of the first interface. */
  readonly MacAddress: string;
  readonly HostConfig: HostConfigRequest;
}

export function readCreate(body: unknown): CreateRequest {
  const fields = new Fields(body);
  const text = (key: string) => fields.string(key) ?? '';
  const flag = (key: string) => fields.boolean(key) ?? false;
  const health = fields.object('Healthcheck');
  return {
    Image: text('Image'),
    ...given('Cmd', fields.words('Cmd')),
    ...given('Entrypoint', fields.words('Entrypoint')),
    Env: fields.strings('Env') ?? [],
    WorkingDir: text('WorkingDir'),
    User: text('User'),
    Hostname: text('Hostname'),
    Domainname: text('Domainname'),
    Tty: flag('Tty'),
    OpenStdin: flag('OpenStdin'),
    StdinOnce: flag('StdinOnce'),
    AttachStdin: flag('AttachStdin'),
    AttachStdout: flag('AttachStdout'),
    AttachStderr: flag('AttachStderr'),
    Labels: fields.map('Labels') ?? {},
    StopSignal: text('StopSignal'),
    ...given('StopTimeout', fields.integer('StopTimeout')),
    ExposedPorts: fields.names('ExposedPorts') ?? [],
    Volumes: fields.names('Volumes') ?? [],
    ...given('Healthcheck', health === undefined ? undefined : readHealth(health)),
    NetworkDisabled: flag('NetworkDisabled'),
    Endpoints: readEndpoints(fields.object('NetworkingConfig')),
    MacAddress: text('MacAddress'),
    HostConfig: readHostConfig(fields.object('HostConfig') ?? new Fields({}, 'HostConfig')),
  };
}

function readHealth(fields: Fields): HealthRequest {
  const number = (key: string) => fields.integer(key) ?? 0;
  return {
    Test: fields.strings('Test') ?? [],
    Interval: number('Interval'),
    Timeout: number('Timeout'),
    StartPeriod: number('StartPeriod'),
    StartInterval: number('StartInterval'),
    Retries: number('Retries'),
  };
}

function readHostConfig(fields: Fields): HostConfigRequest {
  const text = (key: string) => fields.string(key) ?? '';
  const flag = (key: string) => fields.boolean(key) ?? false;
  const list = (key: string) => fields.strings(key) ?? [];
  const log = fields.object('LogConfig');
  return {
    ...readResources(fields),
    Isolation: text('Isolation'),
    Runtime: text('Runtime'),
    Binds: list('Binds'),
    Mounts: (fields.objects('Mounts') ?? []).map(readMount),
    Tmpfs: fields.map('Tmpfs') ?? {},
    NetworkMode: text('NetworkMode'),
    PortBindings: readPortBindings(fields.object('PortBindings')),
    PublishAllPorts: flag('PublishAllPorts'),
    Dns: list('Dns'),
    ExtraHosts: list('ExtraHosts'),
    ...given('RestartPolicy', readRestart(fields)),
    AutoRemove: flag('AutoRemove'),
    ...given(
      'LogConfig',
      log === undefined ? undefined : { Type: log.string('Type') ?? '', Config: log.map('Config') ?? {} },
    ),
    CapAdd: fields.words('CapAdd') ?? [],
    CapDrop: fields.words('CapDrop') ?? [],
    SecurityOpt: list('SecurityOpt'),
    Privileged: flag('Privileged'),
    ReadonlyRootfs: flag('ReadonlyRootfs'),
    StorageOpt: fields.map('StorageOpt') ?? {},
    ...given('MaskedPaths', fields.strings('MaskedPaths')),
    ...given('ReadonlyPaths', fields.strings('ReadonlyPaths')),
    Ulimits: (fields.objects('Ulimits') ?? []).map(readUlimit),
    ...given('ShmSize', fields.integer('ShmSize') || undefined),
    Sysctls: fields.map('Sysctls') ?? {},
    Devices: (fields.objects('Devices') ?? []).map(readDevice),
    GroupAdd: list('GroupAdd'),
    ...given('OomScoreAdj', fields.integer('OomScoreAdj') || undefined),
    OomKillDisable: flag('OomKillDisable'),
    Init: flag('Init'),
    IpcMode: text('IpcMode'),
    PidMode: text('PidMode'),
    Annotations: fields.map('Annotations') ?? {},
    ...given('ConsoleSize', readConsoleSize(fields)),
    fields,
  };
}

function readResources(fields: Fields): ResourcesRequest {
  // Zero means "not given" everywhere but where -1 and 0 are limits of their own.
  const number = (key: keyof ResourcesRequest) => given(key, fields.integer(key) || undefined);
  const text = (key: keyof ResourcesRequest) => given(key, fields.string(key) || undefined);
  return Object.assign(
    {},
    ...(['Memory', 'MemorySwap', 'MemoryReservation', 'NanoCpus', 'CpuQuota', 'CpuPeriod'] as const).map(
      number,
    ),
    ...(['CpuShares', 'PidsLimit', 'BlkioWeight'] as const).map(number),
    ...(['CpusetCpus', 'CpusetMems'] as const).map(text),
    ...DEVICE_RATES.map((key) => given(key, devices(fields, key, 'Rate'))),
    given('BlkioWeightDevice', devices(fields, 'BlkioWeightDevice', 'Weight')),
  );
}

const DEVICE_RATES = [
  'BlkioDeviceReadBps',
  'BlkioDeviceWriteBps',
  'BlkioDeviceReadIOps',
  'BlkioDeviceWriteIOps',
] as const;

/** Clients send empty lists for what they were not told. */
function devices(fields: Fields, key: string, member: 'Rate' | 'Weight') {
  const list = fields.objects(key) ?? [];
  const read = (item: Fields) => ({
    Path: item.string('Path') ?? '',
    [member]: item.integer(member) ?? 0,
  });
  return list.length === 0 ? undefined : list.map(read);
}

function readRestart(fields: Fields): RestartPolicyRequest | undefined {
  const restart = fields.object('RestartPolicy');
  if (restart === undefined) return undefined;
  return {
    Name: restart.string('Name') ?? '',
    MaximumRetryCount: restart.integer('MaximumRetryCount') ?? 0,
  };
}

function readMount(fields: Fields): MountRequest {
  const bind = fields.object('BindOptions');
  const volume = fields.object('VolumeOptions');
  const tmpfs = fields.object('TmpfsOptions');
  return {
    Type: fields.string('Type') ?? '',
    Source: fields.string('Source') ?? '',
    Target: fields.string('Target') ?? '',
    ReadOnly: fields.boolean('ReadOnly') ?? false,
    Propagation: bind?.string('Propagation') ?? '',
    CreateMountpoint: bind?.boolean('CreateMountpoint') ?? false,
    NonRecursive: bind?.boolean('NonRecursive') ?? false,
    ReadOnlyNonRecursive: bind?.boolean('ReadOnlyNonRecursive') ?? false,
    ReadOnlyForceRecursive: bind?.boolean('ReadOnlyForceRecursive') ?? false,
    NoCopy: volume?.boolean('NoCopy') ?? false,
    VolumeDriver: volume?.object('DriverConfig')?.string('Name') ?? '',
    Subpath: volume?.string('Subpath') ?? '',
    ...given('SizeBytes', tmpfs?.integer('SizeBytes') || undefined),
    ...given('Mode', tmpfs?.integer('Mode') || undefined),
    TmpfsOptions: readTmpfsOptions(tmpfs),
  };
}

/** [["noexec"], ["size", "1m"]] as mount options. */
function readTmpfsOptions(tmpfs: Fields | undefined): readonly string[] {
  const value = tmpfs?.raw('Options');
  if (tmpfs === undefined || value === undefined) return [];
  const isOption = (item: unknown) =>
    Array.isArray(item) && item.length > 0 && item.every((word) => typeof word === 'string');
  if (!Array.isArray(value) || !value.every(isOption))
    throw new FieldError(tmpfs.name('Options'), 'not a list of lists of strings');
  return value.map((option: string[]) => option.join('='));
}

function readUlimit(fields: Fields): UlimitRequest {
  return {
    Name: fields.string('Name') ?? '',
    Soft: fields.integer('Soft') ?? 0,
    Hard: fields.integer('Hard') ?? 0,
  };
}

function readDevice(fields: Fields): DeviceRequest {
  return {
    PathOnHost: fields.string('PathOnHost') ?? '',
    PathInContainer: fields.string('PathInContainer') ?? '',
    CgroupPermissions: fields.string('CgroupPermissions') ?? '',
  };
}

export interface UpdateRequest extends ResourcesRequest {
  readonly RestartPolicy?: RestartPolicyRequest;
}

export function readUpdate(body: unknown): UpdateRequest {
  const fields = new Fields(body);
  const restart = readRestart(fields);
  return { ...readResources(fields), ...given('RestartPolicy', restart?.Name ? restart : undefined) };
}
