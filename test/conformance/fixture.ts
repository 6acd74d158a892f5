// What the conformance suite needs to know of a driver, and the spec that its tests start from.

import { randomBytes } from 'node:crypto';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import type {
  Driver,
  ExitStatus,
  Instance,
  InstanceSpec,
  ProcessIo,
  ProcessSpec,
  ResourceSpec,
} from '../../src/core/index.ts';

export interface DriverFixture {
  readonly name: string;
  /** A driver with state of its own below `root`; called again for each daemon that a test lets take over. */
  makeDriver(root: string): Promise<Driver> | Driver;
  /** Title of a test -> why this isolation cannot pass it. */
  readonly gaps: Readonly<Record<string, string>>;
  /** A test may take this long. */
  readonly timeoutMs: number;
  /** A limit that a small command fits in and the memory test exceeds. */
  readonly memoryLimitBytes: number;
  openDisk(): Promise<TestDisk>;
}

/** A disk to limit, and what a workload with this change does to it. */
export interface TestDisk extends AsyncDisposable {
  /** On the host. */
  readonly path: string;
  readonly change: SpecChange;
  /** Shell commands that write 4 MiB, read them, and write 16 times; past all caches. */
  readonly write: string;
  readonly read: string;
  readonly writeOften: string;
}

export type SpecChange = Partial<Omit<InstanceSpec, 'process' | 'resources'>> & {
  readonly process?: Partial<ProcessSpec>;
  readonly resources?: Partial<ResourceSpec>;
};

/** The instances of one test, and the specs that it starts from. */
export class Workbench implements AsyncDisposable {
  readonly root: string;
  readonly layers: readonly string[];
  readonly cgroup: string;
  readonly #instances = new Set<Instance>();

  constructor(root: string, layers: readonly string[], cgroup: string) {
    this.root = root;
    this.layers = layers;
    this.cgroup = cgroup;
  }

  async spec(args: readonly string[], change: SpecChange = {}): Promise<InstanceSpec> {
    const id = randomBytes(32).toString('hex');
    const dir = join(this.root, 'workloads', id);
    await mkdir(dir, { recursive: true });
    const base = baseSpec(id, dir, this.layers, `${this.cgroup}/${id}`);
    return {
      ...base,
      ...change,
      process: { ...base.process, ...change.process, args },
      resources: { ...base.resources, ...change.resources },
    };
  }

  async create(driver: Driver, args: readonly string[], change: SpecChange = {}): Promise<Instance> {
    return this.own(await driver.create(await this.spec(args, change)));
  }

  /** Registers an instance for the clean-up at the end of the test. */
  own(instance: Instance): Instance {
    this.#instances.add(instance);
    return instance;
  }

  disown(instance: Instance): void {
    this.#instances.delete(instance);
  }

  /** Runs to the end and returns all there is to know. */
  async run(driver: Driver, args: readonly string[], change: SpecChange = {}): Promise<Outcome> {
    const instance = await this.create(driver, args, change);
    const io = await instance.attach({ stdin: true, stdout: true, stderr: true });
    io.input.end();
    const output = collect(io, change.process?.tty ?? false);
    await instance.start();
    const status = await instance.wait();
    return { instance, status, ...(await output) };
  }

  /** Kills and removes everything, also what a failed test left. */
  async [Symbol.asyncDispose](): Promise<void> {
    for (const instance of this.#instances) {
      await instance.kill(9).then(
        () => instance.wait(),
        () => {},
      );
      await instance.remove().catch(() => {});
    }
  }
}

export interface Outcome {
  readonly instance: Instance;
  readonly status: ExitStatus;
  readonly stdout: string;
  readonly stderr: string;
}

/** All output, cut into its streams. */
export async function collect(io: ProcessIo, tty = false): Promise<{ stdout: string; stderr: string }> {
  if (tty) return { stdout: await text(io.output), stderr: '' };
  const chunks: Buffer[] = [];
  for await (const chunk of io.output) chunks.push(chunk as Buffer);
  const data = Buffer.concat(chunks);
  const streams: [Buffer[], Buffer[]] = [[], []];
  for (let at = 0; at < data.length; ) {
    const length = data.readUInt32BE(at + 4);
    streams[data[at] === 2 ? 1 : 0].push(data.subarray(at + 8, at + 8 + length));
    at += 8 + length;
  }
  return { stdout: Buffer.concat(streams[0]).toString(), stderr: Buffer.concat(streams[1]).toString() };
}

/** Resolves once the output so far satisfies the condition. */
export function until(io: ProcessIo, seen: (output: string) => boolean): Promise<string> {
  return new Promise((resolve, reject) => {
    let output = '';
    const look = (chunk: Buffer) => {
      output += chunk.toString();
      if (!seen(output)) return;
      io.output.off('data', look);
      resolve(output);
    };
    io.output.on('data', look);
    io.output.once('end', () => reject(new Error(`the output ended before: ${JSON.stringify(output)}`)));
  });
}

function baseSpec(id: string, dir: string, layers: readonly string[], cgroupPath: string): InstanceSpec {
  return {
    id,
    dir,
    rootfs: { imageId: `sha256:${'0'.repeat(64)}`, layers },
    process: {
      args: [],
      env: ['PATH=/bin:/usr/bin', 'TERM=xterm'],
      cwd: '/',
      user: '',
      additionalGroups: [],
      tty: false,
      stdin: false,
      privileged: false,
    },
    hostname: id.slice(0, 12),
    domainname: '',
    extraHosts: [],
    dns: [],
    network: 'private',
    ipc: 'private',
    pidMode: 'private',
    mounts: [],
    devices: [],
    sysctls: {},
    resources: { ulimits: [], shmBytes: 64 << 20, oomKillDisable: false },
    security: {
      privileged: false,
      capAdd: [],
      capDrop: [],
      noNewPrivileges: false,
      seccomp: 'default',
    },
    readonlyRoot: false,
    ephemeral: true,
    init: false,
    log: { driver: 'json-file', maxFiles: 1 },
    cgroupPath,
    annotations: {},
  };
}
