// Which accelerator really works here. A /dev/kvm that opens may still hang every guest, so KVM is used only where a
// guest has booted with it; the verdict holds until the host boots again.

import { constants } from 'node:fs';
import { access, mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { BerthError, errorMessage, isBerthError } from '../core/index.ts';
import { readIfExists, run, writeAtomic } from '../host/index.ts';
import { type Accelerator, MIN_MEMORY_BYTES } from './machine.ts';

export interface HostVerdict {
  readonly accelerator: Accelerator;
  /** Why, in one sentence. */
  readonly reason: string;
  /** The rate of the host's time stamp counter, where guests may rely on it. */
  readonly tscKhz?: number;
}

export interface AcceleratorProbe {
  /** Where the verdict is kept; daemons of one host may share it. */
  readonly cacheDir: string;
  readonly device: string;
  /** Boots a guest that prints PROBE_MARK and ends; killed after `timeoutMs`. */
  readonly command: readonly [file: string, ...args: string[]];
  /** Prints the rate of the time stamp counter in kHz. */
  readonly tscCommand: readonly [file: string, ...args: string[]];
  readonly timeoutMs: number;
}

export const PROBE_MARK = 'berth-probe: ok';

/** The command that boots a guest with KVM just far enough to reach its agent. */
export function probeCommand(
  qemu: string,
  kernel: string,
  initrd: string,
  direct: boolean,
): [string, ...string[]] {
  return [
    qemu,
    ...[
      '-nodefaults',
      '-no-user-config',
      '-display',
      'none',
      '-no-reboot',
      '-accel',
      'kvm',
      '-machine',
      'q35',
    ],
    ...['-cpu', 'host', '-m', `${MIN_MEMORY_BYTES >> 20}M`, '-serial', 'stdio'],
    ...(direct ? ['-bios', 'qboot.rom'] : []),
    ...['-kernel', kernel, '-initrd', initrd, '-append', 'console=ttyS0 quiet panic=-1 reboot=t berth.probe'],
  ];
}

/**
 * The verdict for this host, from the cache if it was found since the host booted and for a device that could be
 * opened as it can be now. Never throws.
 */
export async function probeAccelerator(probe: AcceleratorProbe): Promise<HostVerdict> {
  const path = join(probe.cacheDir, 'accelerator.json');
  const bootId = (await readIfExists('/proc/sys/kernel/random/boot_id'))?.trim() ?? '';
  const obstacle = await findObstacle(probe.device);
  const circumstances = { bootId, obstacle, timeoutMs: probe.timeoutMs };
  const cached = await readCached(path, circumstances);
  if (cached !== undefined) return cached;
  const kvm = obstacle === '' ? tryKvm(probe) : emulated(obstacle);
  const [choice, tscKhz] = await Promise.all([kvm, readTscKhz(probe.tscCommand)]);
  const verdict = { ...choice, ...(tscKhz === undefined ? {} : { tscKhz }) };
  await mkdir(probe.cacheDir, { recursive: true, mode: 0o700 }).catch(() => {});
  await writeAtomic(path, JSON.stringify({ ...circumstances, verdict })).catch(() => {});
  return verdict;
}

/** What a verdict depends on that may change. */
interface Circumstances {
  readonly bootId: string;
  readonly obstacle: string;
  readonly timeoutMs: number;
}

async function readCached(path: string, now: Circumstances): Promise<HostVerdict | undefined> {
  try {
    const text = await readIfExists(path);
    const cached = JSON.parse(text ?? '{}') as Partial<Circumstances> & { verdict?: HostVerdict };
    const same = now.bootId !== '' && cached.bootId === now.bootId && cached.obstacle === now.obstacle;
    // A guest that did not boot in less time may boot now.
    const late = cached.verdict?.accelerator !== 'kvm' && (cached.timeoutMs ?? 0) < now.timeoutMs;
    return same && !late ? cached.verdict : undefined;
  } catch {
    return undefined;
  }
}

type Choice = Pick<HostVerdict, 'accelerator' | 'reason'>;

function emulated(reason: string): Choice {
  return { accelerator: 'tcg', reason };
}

/** Why the device cannot even be opened; empty when it can. */
async function findObstacle(device: string): Promise<string> {
  try {
    await access(device, constants.R_OK | constants.W_OK);
    return '';
  } catch (error) {
    const missing = (error as NodeJS.ErrnoException).code === 'ENOENT';
    return missing ? `there is no ${device}` : `${device} may not be used`;
  }
}

/** PVM is KVM without the processor's help: it runs only kernels that know of it, which those of guests do not. */
async function whyNot(): Promise<string> {
  return access('/sys/module/kvm_pvm').then(
    () => '; its module kvm_pvm runs only guests whose kernels are made for it',
    () => '',
  );
}

async function tryKvm(probe: AcceleratorProbe): Promise<Choice> {
  try {
    // A guest that hangs must not outlive the daemon that would have ended it.
    const command = ['--pdeathsig', 'KILL', '--', ...probe.command];
    const { stdout } = await run('setpriv', command, { timeoutMs: probe.timeoutMs });
    if (stdout.includes(PROBE_MARK))
      return { accelerator: 'kvm', reason: `a guest booted with ${probe.device}` };
    return emulated(`a guest started with ${probe.device} ended before it had booted${await whyNot()}`);
  } catch (error) {
    if (isBerthError(error, 'timeout'))
      return emulated(
        `${probe.device} opens, but a guest did not boot with it in ${probe.timeoutMs / 1000} s (the setting vm.kvm.seconds)${await whyNot()}`,
      );
    const last = errorMessage(error).split('\n').at(-1);
    return emulated(`a guest did not boot with ${probe.device}: ${last}`);
  }
}

/** Only where the host itself keeps time by the counter may a guest do so. */
async function readTscKhz([file, ...args]: AcceleratorProbe['tscCommand']): Promise<number | undefined> {
  const source = await readIfExists('/sys/devices/system/clocksource/clocksource0/current_clocksource');
  if (source?.trim() !== 'tsc') return undefined;
  try {
    const khz = Number((await run(file, args, { timeoutMs: 5000 })).stdout.trim());
    return Number.isInteger(khz) && khz > 100_000 ? khz : undefined;
  } catch (error) {
    if (error instanceof BerthError) return undefined;
    throw error;
  }
}
