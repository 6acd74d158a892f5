// WorkloadSpec -> Docker's HostConfig, every member that its clients read.

import type { LogSpec, WorkloadSpec } from '../../core/index.ts';
import { RUNTIME_OF } from './isolation.ts';
import { fromBinds, fromMountObjects, fromTmpfs } from './mounts.ts';
import { fromPortRequests } from './publishing.ts';
import { fromResources } from './resources.ts';
import { fromSecurity } from './security.ts';

export function toHostConfig(spec: WorkloadSpec) {
  const mounts = fromMountObjects(spec.mounts);
  const tmpfs = fromTmpfs(spec.mounts);
  return {
    Binds: fromBinds(spec.mounts),
    ...(mounts === undefined ? {} : { Mounts: mounts }),
    ...(tmpfs === undefined ? {} : { Tmpfs: tmpfs }),
    ContainerIDFile: '',
    LogConfig: toLogConfig(spec.log),
    NetworkMode: spec.networkMode,
    PortBindings: fromPortRequests(spec),
    PublishAllPorts: spec.publishAllPorts,
    RestartPolicy: { Name: spec.restart.name, MaximumRetryCount: spec.restart.maximumRetryCount },
    AutoRemove: spec.autoRemove,
    ...(spec.writableBytes === undefined ? {} : { StorageOpt: { size: String(spec.writableBytes) } }),
    VolumeDriver: '',
    VolumesFrom: null,
    ConsoleSize: [spec.consoleSize?.rows ?? 0, spec.consoleSize?.columns ?? 0],
    ...(Object.keys(spec.annotations).length === 0 ? {} : { Annotations: spec.annotations }),
    ...toConfinement(spec),
    Cgroup: '',
    CgroupParent: '',
    CgroupnsMode: 'private',
    Dns: spec.dns,
    DnsOptions: [],
    DnsSearch: [],
    ExtraHosts: orNull(spec.extraHosts),
    GroupAdd: orNull(spec.additionalGroups),
    IpcMode: spec.ipc,
    PidMode: spec.pidMode === 'host' ? 'host' : '',
    UTSMode: '',
    UsernsMode: '',
    Links: null,
    Runtime: RUNTIME_OF[spec.isolation],
    Isolation: spec.isolation,
    Sysctls: spec.sysctls,
    Init: spec.init,
    ...toDevices(spec),
    ...fromResources(spec.resources),
    CpuCount: 0,
    CpuPercent: 0,
    IOMaximumIOps: 0,
    IOMaximumBandwidth: 0,
  };
}

function toConfinement(spec: WorkloadSpec) {
  const { security } = spec;
  return {
    CapAdd: orNull(security.capAdd),
    CapDrop: orNull(security.capDrop),
    SecurityOpt: fromSecurity(security),
    Privileged: security.privileged,
    ReadonlyRootfs: spec.readonlyRoot,
    MaskedPaths: security.maskedPaths ?? null,
    ReadonlyPaths: security.readonlyPaths ?? null,
  };
}

function toDevices(spec: WorkloadSpec) {
  return {
    Devices: spec.devices.map(({ hostPath, path, permissions }) => ({
      PathOnHost: hostPath,
      PathInContainer: path,
      CgroupPermissions: permissions,
    })),
    DeviceCgroupRules: null,
    DeviceRequests: null,
  };
}

function toLogConfig(log: LogSpec) {
  const Config: Record<string, string> = {};
  if (log.maxBytes !== undefined) Config['max-size'] = String(log.maxBytes);
  if (log.driver === 'json-file' && log.maxFiles !== 1) Config['max-file'] = String(log.maxFiles);
  return { Type: log.driver, Config };
}

function orNull(list: readonly string[]): readonly string[] | null {
  return list.length === 0 ? null : list;
}
