// Measures variants of the same thing against each other: in every round each variant runs once, so that the noise of
// the host meets all alike and the ratio of the medians is the result. Prints Markdown.

import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { cpus, loadavg, release, totalmem } from 'node:os';

export interface Variant {
  readonly name: string;
  /** One measured run; throws when it did not do its work. Resolves to its milliseconds when it times itself. */
  run(): Promise<number | undefined>;
}

export interface Sample {
  readonly name: string;
  readonly timesMs: readonly number[];
}

/** Runs every variant once a round, in every other one backwards: what one leaves behind shall not always meet the same. The first rounds are thrown away. */
export async function interleave(
  variants: readonly Variant[],
  rounds: number,
  warmUp = 2,
): Promise<Sample[]> {
  const times = new Map<string, number[]>(variants.map((variant) => [variant.name, []]));
  for (let round = -warmUp; round < rounds; round++) {
    for (const variant of round % 2 === 0 ? variants : variants.toReversed()) {
      const start = performance.now();
      const own = await variant.run();
      const elapsed = own ?? performance.now() - start;
      if (round >= 0) times.get(variant.name)?.push(elapsed);
    }
  }
  return variants.map(({ name }) => ({ name, timesMs: times.get(name) ?? [] }));
}

/** Nearest-rank quantile. */
export function quantile(values: readonly number[], q: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.max(0, Math.ceil(q * sorted.length) - 1)] ?? Number.NaN;
}

export const median = (values: readonly number[]): number => quantile(values, 0.5);

export function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]): string => `| ${cells.join(' | ')} |\n`;
  return `${line(head)}${line(head.map((_, index) => (index === 0 ? '---' : '---:')))}${rows.map(line).join('')}`;
}

/** Times of each variant, and how many times those of `baseline` the baseline takes of it. */
export function timesTable(samples: readonly Sample[], baseline: string): string {
  const base = median(samples.find((sample) => sample.name === baseline)?.timesMs ?? []);
  const ms = (value: number): string => value.toFixed(value < 100 ? 1 : 0);
  return table(
    ['', 'median ms', 'p95 ms', 'min ms', 'runs', `times faster than ${baseline}`],
    samples.map(({ name, timesMs }) => [
      name,
      ms(median(timesMs)),
      ms(quantile(timesMs, 0.95)),
      ms(Math.min(...timesMs)),
      String(timesMs.length),
      (base / median(timesMs)).toFixed(1),
    ]),
  );
}

/** One promised figure: what was promised, what was measured, whether it is kept. */
export function promise(text: string, measured: number, limit: number, atLeast: boolean): string {
  const kept = atLeast ? measured >= limit : measured <= limit;
  return `${kept ? 'kept' : 'MISSED'}: ${text}: measured ${measured.toFixed(2)}\n`;
}

function version(command: string, ...args: string[]): string {
  try {
    return (
      execFileSync(command, args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }).split('\n')[0] ??
      ''
    );
  } catch {
    return `${command}: not installed`;
  }
}

/** What the figures depend on, as a Markdown list. */
export function hostClass(): string {
  const model = cpus()[0]?.model ?? 'unknown';
  const unified = existsSync('/sys/fs/cgroup/cgroup.controllers');
  const hybrid = existsSync('/sys/fs/cgroup/unified');
  const cgroup = unified ? 'v2' : hybrid ? 'v1 with an unused v2 tree (hybrid)' : 'v1';
  const virtual = /\bhypervisor\b/.test(readFileSync('/proc/cpuinfo', 'utf8'))
    ? 'a virtual machine'
    : 'bare metal';
  return [
    `- host: ${cpus().length} × ${model}, ${(totalmem() / 2 ** 30).toFixed(0)} GiB, ${virtual}; load ${loadavg()[0]?.toFixed(2)} at the start`,
    `- Linux ${release()}, cgroup ${cgroup}`,
    `- ${version('docker', '--version')} (client), ${version('dockerd', '--version')} (daemon)`,
    `- ${version('podman', '--version')}, ${version('crun', '--version')}, ${version('runc', '--version')}, ${version('qemu-system-x86_64', '--version')}`,
    '',
  ].join('\n');
}

export function heading(title: string, command: string): string {
  return `\n## ${title}\n\n\`${command}\`, ${new Date().toISOString().slice(0, 10)}\n\n`;
}
