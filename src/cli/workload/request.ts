// Flags of `run` and `create` to the request the daemon takes. Pure but for the files that flags name.

import type { CreateRequest, HealthcheckRequest, HostConfigRequest } from '../../sdk/types.ts';
import { CliError } from '../errors.ts';
import { parseDurationNs, parseSize } from '../format/units.ts';
import { deviceLimits } from './device-limits.ts';
import { collectEnv, collectLabels, keyValues } from './env.ts';
import type { WorkloadFlags } from './flags.ts';
import { parseMount, parseTmpfs, parseVolumes } from './mounts.ts';
import { networkRequest } from './networks.ts';
import { parseDevice, parsePorts, parseRestart, parseUlimit, resolveSecurityOpt } from './values.ts';

export interface RequestInput {
  readonly flags: WorkloadFlags;
  readonly image: string;
  readonly command: readonly string[];
  readonly detach: boolean;
  readonly env: Readonly<Record<string, string | undefined>>;
}

/** Drops what is undefined, empty or false: the daemon's defaults are meant then. */
function given<T extends object>(fields: { [K in keyof T]: T[K] | undefined }): T {
  const kept = Object.entries(fields).filter(([, value]) => {
    if (value === undefined || value === false) return false;
    if (Array.isArray(value)) return value.length > 0;
    return typeof value !== 'object' || value === null || Object.keys(value).length > 0;
  });
  return Object.fromEntries(kept) as T;
}

/** The request for a new workload. Throws CliError with exit code 125. */
export function createRequest(input: RequestInput): CreateRequest {
  const { flags, image, command } = input;
  refuseConflicts(flags, input.detach);
  const attach = attachedStreams(flags, input.detach);
  const volumes = parseVolumes(flags.volume);
  const ports = parsePorts(flags.publish);
  const networks = networkRequest({
    networks: [...flags.network, ...flags.net],
    aliases: flags['network-alias'],
    ...{ ip: flags.ip, ip6: flags.ip6, mac: flags['mac-address'] },
  });
  return given<CreateRequest>({
    Image: image,
    Cmd: [...command],
    Entrypoint: flags.entrypoint === undefined ? undefined : [flags.entrypoint],
    Env: collectEnv(flags['env-file'], flags.env, input.env),
    WorkingDir: flags.workdir,
    User: flags.user,
    Hostname: flags.hostname,
    Domainname: flags.domainname,
    Tty: flags.tty,
    OpenStdin: flags.interactive,
    StdinOnce: flags.interactive && attach.stdin,
    AttachStdin: attach.stdin,
    AttachStdout: attach.stdout,
    AttachStderr: attach.stderr,
    Labels: collectLabels(flags['label-file'], flags.label),
    StopSignal: flags['stop-signal'],
    StopTimeout: flags['stop-timeout'],
    ExposedPorts: ports.exposed,
    Volumes: Object.fromEntries(volumes.anonymous.map((target) => [target, {}])),
    Healthcheck: healthcheck(flags),
    HostConfig: {
      ...hostConfig(flags),
      ...given<HostConfigRequest>({
        Binds: volumes.binds,
        PortBindings: ports.bindings,
        NetworkMode: networks.mode,
      }),
    },
    NetworkingConfig: networks.config,
  });
}

export interface AttachedStreams {
  readonly stdin: boolean;
  readonly stdout: boolean;
  readonly stderr: boolean;
}

/** Which streams `run` connects: those of `-a`, or in the foreground outputs, and stdin with `-i`. */
export function attachedStreams(flags: WorkloadFlags, detach: boolean): AttachedStreams {
  if (detach) return { stdin: false, stdout: false, stderr: false };
  const names = flags.attach.map((name) => name.toLowerCase());
  const wrong = names.find((name) => !['stdin', 'stdout', 'stderr'].includes(name));
  if (wrong !== undefined) throw new CliError(`invalid --attach ${wrong}: stdin, stdout or stderr`, 125);
  if (names.length === 0) return { stdin: flags.interactive, stdout: true, stderr: true };
  return {
    stdin: names.includes('stdin'),
    stdout: names.includes('stdout'),
    stderr: names.includes('stderr'),
  };
}

function refuseConflicts(flags: WorkloadFlags, detach: boolean): void {
  if (detach && flags.attach.length > 0)
    throw new CliError('conflicting options: --attach and --detach', 125);
  if (flags.rm && flags.restart !== undefined && flags.restart !== 'no') {
    throw new CliError('conflicting options: --restart and --rm', 125);
  }
  const { boot, isolation, pull } = flags;
  if (boot !== undefined && !['auto', 'cold', 'fork', 'pool'].includes(boot)) {
    throw new CliError(`invalid --boot ${JSON.stringify(boot)}: auto, cold, fork or pool`, 125);
  }
  if (isolation !== undefined && !['container', 'vm', 'default'].includes(isolation)) {
    throw new CliError(`invalid --isolation ${JSON.stringify(isolation)}: container or vm`, 125);
  }
  if (pull !== undefined && !['always', 'missing', 'never'].includes(pull)) {
    throw new CliError(`invalid --pull ${JSON.stringify(pull)}: always, missing or never`, 125);
  }
}

function hostConfig(flags: WorkloadFlags): HostConfigRequest {
  const size = (name: 'memory' | 'memory-reservation' | 'shm-size') => {
    const text = flags[name];
    return text === undefined ? undefined : parseSize(text, `--${name}`);
  };
  const swap = flags['memory-swap'];
  const log = keyValues(flags['log-opt'], undefined, 'log option');
  const logs = flags['log-driver'] !== undefined || flags['log-opt'].length > 0;
  if (flags.cpus !== undefined && !(flags.cpus > 0)) throw new CliError('--cpus must be more than 0', 125);
  return given<HostConfigRequest>({
    Isolation: flags.isolation,
    AutoRemove: flags.rm,
    Memory: size('memory'),
    MemoryReservation: size('memory-reservation'),
    MemorySwap: swap === undefined ? undefined : swap === '-1' ? -1 : parseSize(swap, '--memory-swap'),
    NanoCpus: flags.cpus === undefined ? undefined : Math.round(flags.cpus * 1e9),
    CpuShares: flags['cpu-shares'],
    CpusetCpus: flags['cpuset-cpus'],
    CpusetMems: flags['cpuset-mems'],
    PidsLimit: flags['pids-limit'],
    BlkioWeight: flags['blkio-weight'],
    ...deviceLimits(flags),
    ShmSize: size('shm-size'),
    Mounts: flags.mount.map(parseMount),
    Tmpfs: parseTmpfs(flags.tmpfs),
    PublishAllPorts: flags['publish-all'],
    RestartPolicy: flags.restart === undefined ? undefined : parseRestart(flags.restart),
    LogConfig: logs ? { Type: flags['log-driver'] ?? 'json-file', Config: log } : undefined,
    CapAdd: [...flags['cap-add']],
    CapDrop: [...flags['cap-drop']],
    SecurityOpt: flags['security-opt'].map(resolveSecurityOpt),
    Privileged: flags.privileged,
    ReadonlyRootfs: flags['read-only'],
    StorageOpt: keyValues(flags['storage-opt'], undefined, 'storage option'),
    Ulimits: flags.ulimit.map(parseUlimit),
    Sysctls: keyValues(flags.sysctl, undefined, 'sysctl'),
    Devices: flags.device.map(parseDevice),
    GroupAdd: [...flags['group-add']],
    ExtraHosts: [...flags['add-host']],
    Dns: [...flags.dns],
    IpcMode: flags.ipc,
    PidMode: flags.pid,
    Init: flags.init,
    Annotations: {
      ...keyValues(flags.annotation, undefined, 'annotation'),
      ...(flags.boot === undefined ? {} : { 'berth.boot': flags.boot }),
      ...(flags['network-rate'] === undefined ? {} : { 'berth.network-rate': flags['network-rate'] }),
      ...(flags.policy.length === 0 ? {} : { 'berth.policy': flags.policy.join('; ') }),
    },
    OomScoreAdj: flags['oom-score-adj'],
    OomKillDisable: flags['oom-kill-disable'],
    ContainerIDFile: flags.cidfile,
  });
}

function healthcheck(flags: WorkloadFlags): HealthcheckRequest | undefined {
  const command = flags['health-cmd'];
  const time = (name: 'interval' | 'timeout' | 'start-period' | 'start-interval') => {
    const text = flags[`health-${name}`];
    return text === undefined ? undefined : parseDurationNs(text, `--health-${name}`);
  };
  const health = given<HealthcheckRequest>({
    Test: command === undefined ? undefined : ['CMD-SHELL', command],
    Interval: time('interval'),
    Timeout: time('timeout'),
    StartPeriod: time('start-period'),
    StartInterval: time('start-interval'),
    Retries: flags['health-retries'],
  });
  if (!flags['no-healthcheck']) return Object.keys(health).length === 0 ? undefined : health;
  if (Object.keys(health).length > 0)
    throw new CliError('conflicting options: --no-healthcheck and --health-*', 125);
  return { Test: ['NONE'] };
}
