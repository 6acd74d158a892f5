// Makes containers, by an OCI runtime and a shim for each.

import { dirname, join } from 'node:path';
import {
  BerthError,
  DEFAULT_CAPABILITIES,
  type Driver,
  type DriverProbe,
  type ExitStatus,
  errorMessage,
  type Instance,
  type InstanceSpec,
} from '../../core/index.ts';
import { type Identity, livingShim } from '../../guest/index.ts';
import { diskNumber } from '../../host/block-device.ts';
import { removeEmptyCgroup } from '../../host/cgroup.ts';
import { adoptContainer, endContainer, sweep } from './adopt.ts';
import { ociConfig } from './config.ts';
import type { DriverContext } from './context.ts';
import { devicesOf } from './devices.ts';
import { ContainerInstance } from './instance.ts';
import { makeLayerImage } from './layer-image.ts';
import { probeLimits } from './limit-probes.ts';
import { probeRuntimes, type RuntimeProbe } from './probe.ts';
import { checkPropagation } from './propagation.ts';
import { defaultSeccomp } from './seccomp.ts';
import { SeccompCache } from './seccomp-cache.ts';
import { seccompOf } from './supervisor.ts';
import { readTraits } from './traits.ts';

const ROOT: Identity = { uid: 0, gid: 0, additionalGids: [0], home: '/' };

export interface ContainerDriverOptions {
  /** The static berth-shim. */
  readonly shimPath: string;
  /** For caches of this driver. */
  readonly stateDir: string;
  /** Only this OCI runtime; default: the first of crun and runc that works. */
  readonly runtime?: 'crun' | 'runc';
}

export class ContainerDriver implements Driver {
  readonly name = 'container';
  readonly #options: ContainerDriverOptions;
  readonly #context: DriverContext;
  readonly #instances = new Set<Instance>();
  #probing: Promise<RuntimeProbe> | undefined;
  #filters: SeccompCache | undefined;

  constructor(options: ContainerDriverOptions) {
    this.#options = options;
    this.#context = {
      shimPath: options.shimPath,
      traits: readTraits(),
      identities: new Map(),
      runtimePath: () => this.#runtimePath(),
      compiled: (filter) => this.#filters?.peek(filter),
      sweep,
      forget: (instance) => this.#forget(instance),
    };
  }

  async probe(): Promise<DriverProbe> {
    const { probe } = await this.#runtime();
    return probe.usable ? { ...probe, probes: [...probe.probes, ...probeLimits()] } : probe;
  }

  #runtime(): Promise<RuntimeProbe> {
    this.#probing ??= this.#findRuntime();
    return this.#probing;
  }

  async #findRuntime(): Promise<RuntimeProbe> {
    const { shimPath, stateDir } = this.#options;
    const found = await probeRuntimes(shimPath, join(stateDir, 'probe'), this.#options.runtime);
    if (found.runtime?.name !== 'crun') return found;
    const { path, version } = found.runtime;
    const cacheDir = join(stateDir, 'seccomp');
    this.#filters = new SeccompCache({
      runtimePath: path,
      runtimeVersion: version,
      shimPath,
      cacheDir,
      workDir: join(stateDir, 'probe'),
    });
    const capabilities = DEFAULT_CAPABILITIES.map((name) => `CAP_${name}`);
    const filter = defaultSeccomp(capabilities, this.#context.traits.arch);
    const probe = await this.#filters.compile(filter).then(
      () => ({
        name: 'compiled-seccomp',
        ok: true,
        detail: 'crun takes compiled filters, and they are in effect',
      }),
      (error) => ({
        name: 'compiled-seccomp',
        ok: false,
        detail: errorMessage(error),
        remedy: 'none is needed: filters are compiled at every start, which makes it slower',
      }),
    );
    return { ...found, probe: { ...found.probe, probes: [...found.probe.probes, probe] } };
  }

  async #runtimePath(): Promise<string> {
    const { runtime, probe } = await this.#runtime();
    if (runtime !== undefined) return runtime.path;
    const reasons = probe.probes.map((entry) => `${entry.name}: ${entry.detail}`).join('; ');
    throw new BerthError(
      'unavailable',
      `no OCI runtime works on this host (${reasons}): install the package crun`,
    );
  }

  async create(spec: InstanceSpec): Promise<Instance> {
    this.#check(spec);
    await checkPropagation(spec);
    await makeLayerImage(spec, this.#options.shimPath);
    const instance = new ContainerInstance(spec, this.#context);
    this.#instances.add(instance);
    return instance;
  }

  /** Finds what is wrong with a spec before anyone starts it; users are looked up at the start only. */
  #check(spec: InstanceSpec): void {
    const seccomp = seccompOf(spec, this.#context);
    ociConfig({
      spec,
      host: this.#context.traits,
      identity: ROOT,
      devices: devicesOf(spec),
      diskNumber,
      ...(seccomp === undefined ? {} : { seccomp }),
    });
  }

  async adopt(spec: InstanceSpec, signal?: AbortSignal): Promise<Instance> {
    const instance = new ContainerInstance(spec, this.#context, await adoptContainer(spec, signal));
    this.#instances.add(instance);
    return instance;
  }

  supervisor(dir: string): Promise<number | undefined> {
    return livingShim(dir, this.name);
  }

  async end(spec: InstanceSpec, status?: ExitStatus): Promise<void> {
    await endContainer(spec, status);
  }

  /** With the last instance goes the cgroup that held them all, unless another driver's are in it. */
  async #forget(instance: Instance): Promise<void> {
    this.#instances.delete(instance);
    if (this.#instances.size > 0 || !(instance instanceof ContainerInstance)) return;
    const parent = dirname(instance.cgroupPath);
    if (parent !== '/') await removeEmptyCgroup(parent);
  }
}
