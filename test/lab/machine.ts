// A machine of the lab: boots an image with this clone beside it, and hears from the second serial port how the scenarios
// in it go. TCG emulates AMD's SVM, so that /dev/kvm works inside; it is slow, and no figure of time means anything.

import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { encodeCpio } from '../../src/formats/cpio.ts';
import { execute, REPOSITORY, say } from './cache.ts';
import type { Image } from './images.ts';

/** A line of the second serial port; a scenario's last one has `passed`. */
export interface Report {
  readonly scenario: string;
  readonly line?: string;
  readonly passed?: number;
  readonly failed?: number;
  readonly skipped?: number;
}

export interface Outcome {
  readonly passed: number;
  readonly failed: number;
  readonly skipped: number;
  readonly output: string;
}

export interface MachineOptions {
  readonly name: string;
  readonly image: Image;
  readonly scenarios: readonly string[];
  readonly memory: string;
  readonly kvm: boolean;
}

interface Awaited extends PromiseWithResolvers<Outcome> {
  output: string;
}

export class LabMachine implements AsyncDisposable {
  readonly #name: string;
  readonly #work: string;
  readonly #child: ChildProcess;
  readonly #ended: Promise<void>;
  readonly #scenarios: ReadonlyMap<string, Awaited>;
  readonly #began = performance.now();

  private constructor(work: string, options: MachineOptions) {
    this.#name = options.name;
    this.#work = work;
    this.#scenarios = new Map(
      options.scenarios.map((name) => [name, { ...Promise.withResolvers<Outcome>(), output: '' }]),
    );
    for (const { promise } of this.#scenarios.values()) promise.catch(() => {});
    this.#child = spawn('qemu-system-x86_64', commandLine(work, options), {
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    let complaint = '';
    this.#child.stderr?.on('data', (chunk: Buffer) => {
      complaint += chunk.toString();
    });
    if (this.#child.stdout === null) throw new Error('QEMU has no output');
    createInterface({ input: this.#child.stdout }).on('line', (line) => this.#hear(line));
    this.#ended = new Promise((resolve) => {
      this.#child.once('error', (error) => resolve(this.#fail(error.message)));
      this.#child.once('close', () =>
        resolve(this.#fail(`the machine has ended; ${complaint}${this.#console()}`)),
      );
    });
  }

  static async boot(options: MachineOptions): Promise<LabMachine> {
    const work = await mkdtemp(join(tmpdir(), 'berth-lab-'));
    await execute('mkfs.erofs', [
      '--quiet',
      ...['.git', ...UNUSED.map((name) => `node_modules/${name}`)].map((path) => `--exclude-path=${path}`),
      join(work, 'clone'),
      REPOSITORY,
    ]);
    await writeFile(join(work, 'initrd'), makeInitrd(options.image.modules));
    return new LabMachine(work, options);
  }

  /** Rejects when the machine ends before. */
  async outcome(scenario: string): Promise<Outcome> {
    const awaited = this.#scenarios.get(scenario);
    if (awaited === undefined) throw new Error(`the machine was not told of ${scenario}`);
    return await awaited.promise;
  }

  #hear(line: string): void {
    const report = parse(line);
    const awaited = report && this.#scenarios.get(report.scenario);
    if (report === undefined || awaited === undefined) return;
    if (report.line !== undefined) {
      awaited.output += `${report.line}\n`;
      if (process.env['BERTH_LAB_VERBOSE'] !== undefined) say(`${report.scenario}: ${report.line}`);
    }
    const seconds = Math.round((performance.now() - this.#began) / 1000);
    const { passed, failed = 0, skipped = 0 } = report;
    if (passed === undefined) return;
    say(
      `${this.#name}: ${report.scenario}: ${passed} passed, ${failed} failed, ${skipped} skipped, at ${seconds} s`,
    );
    awaited.resolve({ passed, failed, skipped, output: awaited.output });
  }

  #fail(reason: string): void {
    for (const [name, { reject, output }] of this.#scenarios)
      reject(new Error(`${name}: ${reason}\n${output}`));
  }

  #console(): string {
    const file = join(this.#work, 'console');
    if (!existsSync(file)) return 'it has no console';
    const text = readFileSync(file, 'utf8');
    return `the last of its console:\n${text.slice(-3000)}`;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#child.kill('SIGKILL');
    await this.#ended;
    await rm(this.#work, { recursive: true, force: true });
  }
}

/** Packages of npm that nothing in a machine needs. */
const UNUSED = ['@biomejs', '@oven', '@typescript', 'typescript'];

function parse(line: string): Report | undefined {
  try {
    return JSON.parse(line) as Report;
  } catch {
    return undefined;
  }
}

function commandLine(work: string, { image, scenarios, memory, kvm }: MachineOptions): string[] {
  const words = [
    'root=/dev/vda rw console=ttyS0 quiet mitigations=off panic=-1',
    `lab.run=${scenarios.join(',')}`,
  ];
  return [
    ...['-nodefaults', '-no-user-config', '-display', 'none', '-no-reboot'],
    ...['-accel', 'tcg,thread=multi,tb-size=1024', '-machine', 'q35', '-cpu', kvm ? 'max,+svm' : 'max'],
    ...['-smp', '2', '-m', memory],
    ...['-kernel', image.kernel, '-initrd', join(work, 'initrd'), '-append', words.join(' ')],
    ...['-drive', `file=${image.disk},if=virtio,format=raw,cache=unsafe,snapshot=on`],
    ...['-drive', `file=${join(work, 'clone')},if=virtio,format=raw,readonly=on`],
    // A getty would hang up whoever writes to the first port.
    ...['-serial', `file:${join(work, 'console')}`, '-serial', 'stdio'],
  ];
}

/** Loads the way to the disk, and leaves the rest to a script of the clone, which the machine's root has no copy of. */
const INIT = `#!/bin/busybox sh
busybox() { /bin/busybox "$@"; }
# Modules depend on one another, in an order that differs between versions.
for module in /modules/* /modules/* /modules/*; do busybox insmod $module 2>/dev/null; done
busybox mount -t devtmpfs dev /dev
busybox mount -t ext4 /dev/vda /new
busybox chroot /new modprobe -a erofs overlay
busybox mount -t erofs -o ro /dev/vdb /new/opt/clone
. /new/opt/clone/test/lab/inside/prepare.sh
exec /bin/busybox switch_root /new /sbin/init
`;

function makeInitrd(modules: string): Buffer {
  return encodeCpio([
    { path: 'bin', mode: 0o40755 },
    { path: 'bin/busybox', mode: 0o100755, data: readFileSync('/bin/busybox') },
    { path: 'dev', mode: 0o40755 },
    { path: 'dev/console', mode: 0o20600, device: { major: 5, minor: 1 } },
    { path: 'new', mode: 0o40755 },
    { path: 'modules', mode: 0o40755 },
    ...readdirSync(modules)
      .sort()
      .map((name) => ({ path: `modules/${name}`, mode: 0o100644, data: readFileSync(join(modules, name)) })),
    { path: 'init', mode: 0o100755, data: Buffer.from(INIT) },
  ]);
}
