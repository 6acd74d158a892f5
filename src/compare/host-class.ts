// The host as the report names it, so that a reader knows what the figures hold for.

import { readFile } from 'node:fs/promises';
import { arch, cpus, loadavg, release, totalmem } from 'node:os';
import type { DriverProbe, Isolation } from '../core/index.ts';
import type { CompareHost } from '../wire/compare.ts';

/** Bytes that can be used without swapping, by the kernel's own estimate. */
export async function availableMemoryBytes(): Promise<number> {
  const text = await readFile('/proc/meminfo', 'utf8');
  return Number(/^MemAvailable:\s+(\d+) kB/m.exec(text)?.[1] ?? 0) * 1024;
}

async function distribution(): Promise<string> {
  const text = await readFile('/etc/os-release', 'utf8').catch(() => '');
  return /^PRETTY_NAME="?([^"\n]*)/m.exec(text)?.[1] ?? 'unknown distribution';
}

export function loadOfOneMinute(): number {
  return Math.round((loadavg()[0] ?? 0) * 100) / 100;
}

/** `loadBefore` was read before the work began; the other load is read now. */
export async function describeHost(
  probes: Readonly<Partial<Record<Isolation, DriverProbe>>>,
  loadBefore: number,
): Promise<CompareHost> {
  const vm = probes.vm;
  const processors = cpus();
  const reason = vm?.facts['acceleratorReason'] ?? vm?.probes.find((probe) => probe.name === 'kvm')?.detail;
  const runtime = probes.container?.facts['runtime'];
  return {
    cpuModel: processors[0]?.model.trim() ?? 'unknown processor',
    cpus: processors.length,
    memoryBytes: totalmem(),
    memoryAvailableBytes: await availableMemoryBytes(),
    kernel: release(),
    architecture: arch(),
    distribution: await distribution(),
    accelerator: vm?.usable === true ? (vm.facts['accelerator'] ?? 'unknown') : 'none',
    ...(reason === undefined ? {} : { acceleratorReason: reason }),
    ...(runtime === undefined ? {} : { containerRuntime: runtime }),
    loadBefore,
    loadAfter: loadOfOneMinute(),
  };
}
