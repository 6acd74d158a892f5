// What a user asks for, in the field's vocabulary: everything an isolation driver needs to incarnate a workload.
// Sizes in bytes, times in milliseconds, ids as strings. Everything is resolved: no defaults are left to fill in.

export const ISOLATIONS = ['container', 'vm'] as const;
export type Isolation = (typeof ISOLATIONS)[number];

/** A process to run inside an instance: the main one, or one more by exec. */
export interface ProcessSpec {
  /** argv; never empty; [0] is looked up in the PATH of `env` inside the instance's root. */
  readonly args: readonly string[];
  /** NAME=value, complete (PATH, HOSTNAME, TERM included); HOME is added by the driver from the passwd file. */
  readonly env: readonly string[];
  /** Absolute; created if absent for the main process, as Docker does. */
  readonly cwd: string;
  /** '' (root), 'name', 'uid', 'name:group' or 'uid:gid', resolved inside the instance's root. */
  readonly user: string;
  readonly additionalGroups: readonly string[];
  readonly tty: boolean;
  /** Whether the process has a stdin that a client may write to; otherwise it reads end of file. */
  readonly stdin: boolean;
  /** All capabilities, undefined: the defaults plus/minus the workload's own adds and drops. */
  readonly privileged: boolean;
}

export type MountSpec =
  | {
      readonly type: 'bind';
      /** Host path; exists. */
      readonly source: string;
      readonly target: string;
      readonly readonly: boolean;
      /**
       * How far `readonly` goes: 'top' leaves what is mounted below `source` writable, 'all' fails where the kernel cannot
       * make that read-only; default: as 'all' where the kernel can, else as 'top'.
       */
      readonly reach?: 'top' | 'all';
      readonly propagation: 'rprivate' | 'private' | 'rshared' | 'shared' | 'rslave' | 'slave';
      /** Of a volume with a size limit: the file that its content lies in; `source` only names it then. */
      readonly image?: string;
      /** Of a volume: only this part, in which no link leads out of the volume, looked up at each start. */
      readonly subpath?: string;
      /** For the engine: make a folder of an absent source (`docker run -v`) instead of refusing it (`--mount`). */
      readonly createSource?: boolean;
    }
  | {
      readonly type: 'tmpfs';
      readonly target: string;
      readonly sizeBytes?: number;
      readonly mode?: number;
      readonly readonly: boolean;
      /** noexec, nosuid, nodev … as given. */
      readonly options: readonly string[];
    };

export interface UlimitSpec {
  readonly name: string;
  readonly soft: number;
  readonly hard: number;
}

/** A limit or a weight for one disk of the host. */
export interface DeviceLimit {
  /** A block device. */
  readonly path: string;
  readonly value: number;
}

/** Limits per disk, each a list with a path at most once; bytes or operations a second, a weight 10-1000. */
export const DEVICE_LIMITS = [
  'deviceReadBps',
  'deviceWriteBps',
  'deviceReadIops',
  'deviceWriteIops',
  'deviceWeights',
] as const;
export type DeviceLimits = { readonly [K in (typeof DEVICE_LIMITS)[number]]?: readonly DeviceLimit[] };

/** Limits; an absent one means unlimited. */
export interface ResourceSpec extends DeviceLimits {
  readonly memoryBytes?: number;
  /** Memory plus swap, as Docker counts; -1 is unlimited swap. */
  readonly memorySwapBytes?: number;
  readonly memoryReservationBytes?: number;
  /** CPUs as a number, e.g. 1.5. */
  readonly cpus?: number;
  /** Relative weight, Docker's scale (default 1024). */
  readonly cpuShares?: number;
  readonly cpusetCpus?: string;
  readonly cpusetMems?: string;
  readonly pidsLimit?: number;
  /** 10-1000. */
  readonly blkioWeight?: number;
  readonly ulimits: readonly UlimitSpec[];
  readonly shmBytes: number;
  readonly oomScoreAdj?: number;
  readonly oomKillDisable: boolean;
}

export interface SecuritySpec {
  readonly privileged: boolean;
  /** Without the CAP_ prefix, upper case; 'ALL' allowed. */
  readonly capAdd: readonly string[];
  readonly capDrop: readonly string[];
  readonly noNewPrivileges: boolean;
  /** 'default', 'unconfined', or a seccomp profile as JSON text in Docker's format. */
  readonly seccomp: string;
  readonly maskedPaths?: readonly string[];
  readonly readonlyPaths?: readonly string[];
}

export interface DeviceSpec {
  readonly hostPath: string;
  readonly path: string;
  /** e.g. 'rwm'. */
  readonly permissions: string;
}

/** How the root file system of an image reaches a driver. */
export interface RootfsSource {
  /** Image id, sha256:…; names caches built from the image. */
  readonly imageId: string;
  /** Unpacked layer folders in overlayfs form (whiteouts as 0/0 devices), LOWEST FIRST. May be empty. */
  readonly layers: readonly string[];
}

export interface LogSpec {
  readonly driver: 'json-file' | 'none';
  /** Rotate when the file reaches this size; absent: never. */
  readonly maxBytes?: number;
  readonly maxFiles: number;
}

/** Everything a driver needs, resolved. Pure data: it is stored as JSON and must survive the round trip. */
export interface InstanceSpec {
  /** 64 hexadecimal digits. */
  readonly id: string;
  /** Folder owned by this instance, exists; the driver keeps all its files in it and survives restarts by it. */
  readonly dir: string;
  readonly rootfs: RootfsSource;
  readonly process: ProcessSpec;
  readonly hostname: string;
  readonly domainname: string;
  readonly extraHosts: readonly string[];
  readonly dns: readonly string[];
  /** Its own, with what each start plugs in (core/network.ts), or the host's. */
  readonly network: 'private' | 'host';
  readonly ipc: 'private' | 'host';
  readonly pidMode: 'private' | 'host';
  readonly mounts: readonly MountSpec[];
  readonly devices: readonly DeviceSpec[];
  readonly sysctls: Readonly<Record<string, string>>;
  readonly resources: ResourceSpec;
  readonly security: SecuritySpec;
  readonly readonlyRoot: boolean;
  /** Most that the writable layer holds; absent: what the disk, or a guest's, has. */
  readonly writableBytes?: number;
  /** The writable layer is thrown away when the instance ends: it need not survive a power failure. Default: it must. */
  readonly ephemeral?: boolean;
  /** Run a small init as process 1 that reaps zombies and forwards signals. */
  readonly init: boolean;
  readonly log: LogSpec;
  /** Cgroup path below the hierarchy's root, e.g. /berth-1a2b3c4d/<id>. */
  readonly cgroupPath: string;
  readonly annotations: Readonly<Record<string, string>>;
}
