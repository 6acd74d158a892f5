// The driver: what every machine boots with, made once; creating and taking over instances.

import { rm, stat } from 'node:fs/promises';
import { totalmem } from 'node:os';
import { join } from 'node:path';
import {
  BerthError,
  type Config,
  DEFAULT_CONFIG,
  type Driver,
  type DriverFigures,
  type DriverProbe,
  type ExitStatus,
  type Instance,
  type InstanceSpec,
  type Origin,
} from '../../core/index.ts';
import { encodeFields } from '../../formats/frames.ts';
import { livingShim, type ShimClient, type ShimState } from '../../guest/index.ts';
import { writeAtomic } from '../../host/index.ts';
import {
  type BootKernel,
  findKernel,
  findVirtiofsd,
  type HostVerdict,
  PLACEHOLDER_IMAGE_BYTES,
  prepareInitrd,
  prepareKernel,
  probeAccelerator,
  probeCommand,
  type Virtiofsd,
  virtiofsdCommand,
} from '../../qemu/index.ts';
import { checkImage, copyDisk, openCheckpoint, VmOrigin } from './checkpoint.ts';
import {
  binds,
  bootMode,
  canFork,
  canPool,
  checkSpec,
  guestFields,
  machineFields,
  machineShape,
  mainFields,
  type TemplateFiles,
} from './config.ts';
import { ImageDisks } from './image-disk.ts';
import { VmInstance } from './instance.ts';
import { sweepKept } from './kept-folder.ts';
import { countNics } from './network.ts';
import { Pool, type PoolWish } from './pool.ts';
import { probeHost } from './probe.ts';
import { cgroupFolders, endMachine, oomFile, prepareCgroup } from './process.ts';
import type { VmHost } from './supervisor.ts';
import { keyOf, Templates, type TemplateWish } from './templates.ts';
import { WRITABLE_BYTES, WritableDisks } from './writable-disk.ts';

export interface VmDriverOptions {
  readonly shimPath: string;
  readonly agentPath: string;
  /** The kernel store that scripts/fetch-kernel.sh fills. */
  readonly kernelDir: string;
  /** For what is built once: image disks, kernels, initial file systems. */
  readonly cacheDir: string;
  /** For the accelerator's verdict, which holds for all daemons of a host; default: cacheDir. */
  readonly verdictDir?: string;
  /** The user's settings, as they are now; default: the defaults. */
  readonly config?: () => Config;
  /** Prints a line when the host runs short of memory; default: what the kernel tells the shim. */
  readonly pressureCommand?: readonly [file: string, ...args: string[]];
  readonly qemu?: string;
  /** Path of virtiofsd; by default the one of the distribution. */
  readonly virtiofsd?: string;
  /** How much an instance may write; at most, and by default, 8 GiB. */
  readonly writableBytes?: number;
  readonly kvmDevice?: string;
  /** What taps are opened by; without it machines have no network interfaces. */
  readonly tunDevice?: string;
}

interface Boot {
  readonly version: string;
  readonly kernel: BootKernel;
  readonly initrd: string;
  readonly host: HostVerdict;
  readonly nics: number;
}

/** The driver of virtual machines. Nothing is probed or built before it is first asked for something. */
export function createVmDriver(options: VmDriverOptions): Driver {
  return new VmDriver(options);
}

class VmDriver implements Driver {
  readonly name = 'vm';
  readonly #options: Required<Omit<VmDriverOptions, 'virtiofsd'>> & Pick<VmDriverOptions, 'virtiofsd'>;
  readonly #disks: ImageDisks;
  readonly #writables: WritableDisks;
  readonly #templates: Templates;
  readonly #pool: Pool;
  /** What earlier daemons left is gone. */
  readonly #swept: Promise<void>;
  #boot: Promise<Omit<Boot, 'nics'>> | undefined;
  #probe: Promise<DriverProbe> | undefined;
  #triedForMs: number | undefined;
  #virtiofsd: Promise<Virtiofsd> | undefined;

  constructor(options: VmDriverOptions) {
    this.#options = {
      qemu: '/usr/bin/qemu-system-x86_64',
      writableBytes: WRITABLE_BYTES,
      kvmDevice: '/dev/kvm',
      tunDevice: '/dev/net/tun',
      verdictDir: options.cacheDir,
      config: () => DEFAULT_CONFIG,
      pressureCommand: [options.shimPath, 'pressure'],
      ...options,
    };
    this.#disks = new ImageDisks(options.shimPath, options.cacheDir);
    this.#writables = new WritableDisks(options.cacheDir, this.#options.writableBytes);
    this.#pool = new Pool(this.#options, this.#writables);
    this.#templates = new Templates(options.shimPath, join(options.cacheDir, 'templates'));
    const kept = ['pool', 'templates', 'keepers'].map((name) => sweepKept(join(options.cacheDir, name)));
    this.#swept = Promise.all(kept).then(
      () => {},
      () => {},
    );
  }

  figures(): DriverFigures {
    return { ...this.#pool.figures(), ...this.#templates.figures() };
  }

  async probe(): Promise<DriverProbe> {
    const probe = await this.#probeOnce();
    return { ...probe, facts: { ...probe.facts, ...this.#templates.facts(), ...this.#pool.facts() } };
  }

  /** Another time limit may bring another verdict. */
  #kvmTimeoutMs(): number {
    const timeoutMs = this.#options.config()['vm.kvm.seconds'] * 1000;
    if (timeoutMs !== this.#triedForMs) [this.#boot, this.#probe] = [undefined, undefined];
    this.#triedForMs = timeoutMs;
    return timeoutMs;
  }

  #probeOnce(): Promise<DriverProbe> {
    this.#kvmTimeoutMs();
    const { qemu, agentPath, shimPath } = this.#options;
    this.#probe ??= probeHost({
      ...{ qemu, agentPath, shimPath },
      virtiofsd: () => this.#findVirtiofsd(),
      kernel: async () => (await this.#prepareBoot()).version,
      accelerator: async () => (await this.#prepareBoot()).host,
    }).then((probe) => {
      // What is missing may be installed while the daemon runs.
      if (!probe.usable) this.#probe = undefined;
      return probe;
    });
    return this.#probe;
  }

  /** May be installed while the daemon runs. */
  #findVirtiofsd(): Promise<Virtiofsd> {
    const { virtiofsd } = this.#options;
    this.#virtiofsd ??= findVirtiofsd(virtiofsd === undefined ? undefined : [virtiofsd]).catch(
      (error: unknown) => {
        this.#virtiofsd = undefined;
        throw error;
      },
    );
    return this.#virtiofsd;
  }

  /** The command that serves what it shares with the host. Fails with `not-found` where there is none. */
  async #sharing(spec: InstanceSpec): Promise<{ readonly virtiofsd?: readonly string[] }> {
    if (binds(spec).length === 0) return {};
    return { virtiofsd: virtiofsdCommand(await this.#findVirtiofsd(), join(spec.dir, 'shares')) };
  }

  /** What every machine boots with; made once, tried again after a failure. */
  async #prepareBoot(): Promise<Boot> {
    const timeoutMs = this.#kvmTimeoutMs();
    this.#boot ??= this.#makeBoot(timeoutMs).catch((error: unknown) => {
      this.#boot = undefined;
      throw error;
    });
    const [boot, nics] = await Promise.all([this.#boot, countNics(this.#options.tunDevice)]);
    return { ...boot, nics };
  }

  async #makeBoot(timeoutMs: number): Promise<Omit<Boot, 'nics'>> {
    const { kernelDir, cacheDir, verdictDir, agentPath, qemu, kvmDevice } = this.#options;
    const found = await findKernel(kernelDir);
    const [kernel, initrd] = await Promise.all([
      prepareKernel(found, cacheDir),
      prepareInitrd(found, agentPath, cacheDir),
    ]);
    const host = await probeAccelerator({
      cacheDir: verdictDir,
      device: kvmDevice,
      command: probeCommand(qemu, kernel.path, initrd, kernel.direct),
      tscCommand: [agentPath, 'tsc'],
      timeoutMs,
    });
    return { version: found.version, kernel, initrd, host };
  }

  async create(spec: InstanceSpec, signal?: AbortSignal): Promise<Instance> {
    checkSpec(spec, totalmem());
    const writable = join(spec.dir, 'writable.ext4');
    try {
      await Promise.all([
        this.#sharing(spec),
        this.#prepareBoot(),
        this.#disks.open(spec.rootfs),
        this.#writables.make(writable, spec.ephemeral ?? false, spec.writableBytes),
      ]);
      signal?.throwIfAborted();
    } catch (error) {
      await rm(writable, { force: true });
      throw error;
    }
    return this.#instance(spec, true);
  }

  async restore(spec: InstanceSpec, origin: Origin): Promise<Instance> {
    if (!(origin instanceof VmOrigin))
      throw new BerthError(
        'invalid-argument',
        'isolation vm: only what was captured of a VM can be restored',
      );
    checkSpec(spec, totalmem());
    await Promise.all([
      this.#prepareBoot(),
      this.#disks.open(spec.rootfs).then((path) => checkImage(origin, path)),
      copyDisk(origin, join(spec.dir, 'writable.ext4')),
    ]);
    return this.#instance(spec, false, origin);
  }

  async openCheckpoint(dir: string): Promise<Origin> {
    const { shimPath, cacheDir, qemu } = this.#options;
    const { host } = await this.#prepareBoot();
    return openCheckpoint(dir, { shimPath, folder: join(cacheDir, 'keepers'), qemu, host });
  }

  async close(): Promise<void> {
    await Promise.all([this.#pool.close(), this.#templates.close(), this.#writables.close(), this.#swept]);
  }

  async adopt(spec: InstanceSpec, signal?: AbortSignal): Promise<Instance> {
    const instance = this.#instance(spec, false);
    await instance.adopt(signal);
    return instance;
  }

  supervisor(dir: string): Promise<number | undefined> {
    return livingShim(dir, this.name);
  }

  async end(spec: InstanceSpec, status?: ExitStatus): Promise<void> {
    await endMachine(spec, status);
  }

  #instance(spec: InstanceSpec, pristine: boolean, origin?: VmOrigin): VmInstance {
    const { shimPath, qemu } = this.#options;
    const host: VmHost = {
      ...{ shimPath, qemu },
      writeConfig: (current, resumed) => this.#writeConfig(current, resumed),
      claim: (current) => this.#claim(current),
      started: (current, state) => void this.#started(current, state).catch(() => {}),
    };
    return new VmInstance(spec, host, pristine, origin);
  }

  async #claim(spec: InstanceSpec): Promise<ShimClient | undefined> {
    const mode = bootMode(spec);
    if ((mode !== 'auto' && mode !== 'pool') || !canPool(spec)) return undefined;
    const boot = await this.#prepareBoot();
    const key = poolKey(spec, await this.#wish(spec, boot));
    if (!this.#pool.has(key)) {
      this.#pool.missed();
      return undefined;
    }
    await Promise.all([this.#writeConfig(spec), prepareCgroup(spec)]);
    const client = await this.#pool.claim(key, spec);
    if (client === undefined)
      await this.#writables.make(join(spec.dir, 'writable.ext4'), spec.ephemeral ?? false).catch(() => {});
    return client;
  }

  #poolWish(spec: InstanceSpec, wish: TemplateWish, boot: Boot, image: string): PoolWish | undefined {
    const template = this.#templates.find(wish);
    if (template === undefined) return undefined;
    const { qemu } = this.#options;
    return {
      key: poolKey(spec, wish),
      ephemeral: spec.ephemeral ?? false,
      machine: (id, writable) => {
        const files = {
          qemu,
          kernel: boot.kernel,
          nics: boot.nics,
          initrd: boot.initrd,
          image,
          writable,
          template,
        };
        const waiting = { ...spec, id, mounts: [] };
        return { ...machineFields(waiting, { ...files, cgroups: [] }, boot.host), pooled: true };
      },
    };
  }

  async #wish(spec: InstanceSpec, boot: Boot): Promise<TemplateWish> {
    const { qemu } = this.#options;
    const { ino, size, mtimeMs } = await stat(qemu);
    return {
      shape: machineShape(spec, boot, boot.host),
      files: { qemu, kernel: boot.kernel, initrd: boot.initrd },
      qemuMark: `${ino} ${size} ${mtimeMs}`,
    };
  }

  /** What to fork it from: what is there, or for those who insist what will be. */
  async #findTemplate(spec: InstanceSpec, boot: Boot, image: string): Promise<TemplateFiles | undefined> {
    const mode = bootMode(spec);
    if (mode === 'cold' || !canFork(spec)) return undefined;
    const [wish, { size }] = await Promise.all([this.#wish(spec, boot), stat(image)]);
    if (size > PLACEHOLDER_IMAGE_BYTES) return undefined;
    return mode === 'fork' ? this.#templates.need(wish) : this.#templates.find(wish);
  }

  /** The next one like it is to be a fork; this one is through with what would be in its way. */
  async #started(spec: InstanceSpec, state: ShimState): Promise<void> {
    if (state.forked === 'restore') return;
    this.#templates.count(state.forked !== undefined);
    const [boot, image] = await Promise.all([this.#prepareBoot(), this.#disks.open(spec.rootfs)]);
    const wish = await this.#wish(spec, boot);
    const mode = bootMode(spec);
    if (state.forkFailure !== undefined) this.#templates.spoiled(wish, state.forkFailure);
    if (mode === 'cold' || !canFork(spec)) return;
    this.#templates.want(wish);
    const more = mode === 'fork' || !canPool(spec) ? undefined : this.#poolWish(spec, wish, boot, image);
    if (more !== undefined) this.#pool.used(more, mode === 'pool');
  }

  /** Written for each run: the kernel, the agent or the accelerator may be another by then. */
  async #writeConfig(spec: InstanceSpec, resumed?: VmOrigin): Promise<void> {
    const { qemu } = this.#options;
    const [boot, image, sharing] = await Promise.all([
      this.#prepareBoot(),
      this.#disks.open(spec.rootfs),
      this.#sharing(spec),
    ]);
    const oom = oomFile(spec);
    const template = resumed === undefined ? await this.#findTemplate(spec, boot, image) : undefined;
    const files = {
      ...sharing,
      ...{ qemu, kernel: boot.kernel, initrd: boot.initrd, image, nics: boot.nics },
      writable: join(spec.dir, 'writable.ext4'),
      cgroups: cgroupFolders(spec),
      ...(oom === undefined ? {} : { oomFile: oom }),
      ...(template === undefined ? {} : { template }),
      ...(resumed === undefined ? {} : { resumed }),
    };
    await Promise.all([
      writeAtomic(join(spec.dir, 'vm.machine'), encodeFields(machineFields(spec, files, boot.host))),
      writeAtomic(join(spec.dir, 'vm.guest'), encodeFields(guestFields(spec))),
      writeAtomic(join(spec.dir, 'vm.main'), encodeFields(mainFields(spec))),
    ]);
  }
}

/** Image, shape, and how much the disk's content matters: all that cannot be told to a machine afterwards. */
function poolKey(spec: InstanceSpec, wish: TemplateWish): string {
  return [keyOf(wish), spec.rootfs.imageId, spec.ephemeral ?? false].join('\n');
}
