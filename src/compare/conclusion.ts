// A few sentences made from the rows by rules; each names the rows that it rests on, and a sentence whose rows are not
// known is not made. Pure.

import type {
  CompareCell,
  CompareColumn,
  CompareReport,
  CompareSection,
  CompareSentence,
  MeasuredCell,
} from '../wire/compare.ts';
import { formatBytes, formatCount, formatDuration, formatRatio } from '../wire/compare-units.ts';

type Head = Pick<CompareReport, 'host' | 'subject' | 'absent'>;

class Rows {
  readonly #cells = new Map<string, CompareCell>();

  constructor(sections: readonly CompareSection[]) {
    for (const section of sections)
      for (const row of section.rows)
        for (const [column, cell] of Object.entries(row.cells)) this.#cells.set(`${row.id} ${column}`, cell);
  }

  measured(row: string, column: CompareColumn): MeasuredCell | undefined {
    const cell = this.#cells.get(`${row} ${column}`);
    return cell?.kind === 'measured' ? cell : undefined;
  }

  text(row: string, column: CompareColumn): string | undefined {
    const cell = this.#cells.get(`${row} ${column}`);
    return cell?.kind === 'fact' ? cell.text : undefined;
  }

  value(row: string, column: CompareColumn): number | undefined {
    const cell = this.#cells.get(`${row} ${column}`);
    return cell?.kind === 'fact' ? cell.value : undefined;
  }
}

type Rule = (rows: Rows, head: Head) => CompareSentence | undefined;

const NAMES = { container: 'container', vm: 'VM' } as const;

const speed: Rule = (rows, head) => {
  const row = head.subject.isolations.some((name) => rows.measured('deploy.first-output', name))
    ? 'deploy.first-output'
    : 'deploy.exit';
  const what = row === 'deploy.exit' ? 'has run to its end' : 'gives its first output';
  const told = head.subject.isolations
    .flatMap((name) => {
      const cell = rows.measured(row, name);
      if (cell === undefined) return [];
      const told = cell.note === undefined ? NAMES[name] : `${NAMES[name]}, ${cell.note},`;
      return [{ name: told, ms: cell.p50, samples: cell.samples }];
    })
    .toSorted((a, b) => a.ms - b.ms);
  const [quick, slow] = told;
  if (quick === undefined) return undefined;
  const first = `The ${quick.name} ${what} ${formatDuration(quick.ms)} after start`;
  if (slow === undefined) return { text: `${first} (median of ${quick.samples} runs).`, rows: [row] };
  const ratio = formatRatio(slow.ms / quick.ms).replace('×', '');
  return {
    text: `${first}, the ${slow.name} ${formatDuration(slow.ms)} after it: ${ratio} times as long (medians of ${quick.samples} and ${slow.samples} runs).`,
    rows: [row],
  };
};

const boots: Rule = (rows) => {
  const fork = rows.measured('deploy.exit', 'vm');
  const cold = rows.measured('deploy.exit-cold', 'vm');
  const pool = rows.measured('deploy.exit-pool', 'vm');
  if (!fork || (!cold && !pool)) return undefined;
  const others = [
    ...(cold ? [`booted cold ${formatDuration(cold.p50)}`] : []),
    ...(pool ? [`taken from the pool ${formatDuration(pool.p50)}`] : []),
  ];
  return {
    text: `From start to exit a VM takes ${formatDuration(fork.p50)} as a fork, ${others.join(', ')}.`,
    rows: ['deploy.exit', ...(cold ? ['deploy.exit-cold'] : []), ...(pool ? ['deploy.exit-pool'] : [])],
  };
};

const emulation: Rule = (_rows, head) => {
  if (!head.subject.isolations.includes('vm') || head.host.accelerator === 'kvm') return undefined;
  return {
    text: 'The VM’s processor was emulated in software (TCG), as this host offers no usable KVM. Its figures for speed and work hold for emulation; what KVM would give was not measured.',
    rows: ['deploy.exit', 'work.cpu'],
  };
};

const memory: Rule = (rows) => {
  const vm = rows.measured('memory.next', 'vm');
  const container = rows.measured('memory.next', 'container');
  const [manyVms, manyContainers] = [
    rows.value('density.idle', 'vm'),
    rows.value('density.idle', 'container'),
  ];
  if (!vm || !container || manyVms === undefined || manyContainers === undefined) return undefined;
  return {
    text: `Each further idle VM takes ${formatBytes(vm.p50)} of the host’s memory, each further container ${formatBytes(container.p50)}. By memory alone this host has room for about ${formatCount(manyVms)} idle VMs or ${formatCount(manyContainers)} idle containers.`,
    rows: ['memory.next', 'density.idle'],
  };
};

const JOB_WORDS = {
  cpu: 'computing',
  syscall: 'system calls',
  disk: 'writing to disk',
  pipe: 'talk by pipe',
  loopback: 'talk by TCP',
};

const work: Rule = (rows) => {
  const told = (column: 'container' | 'vm') =>
    Object.entries(JOB_WORDS).flatMap(([job, words]) => {
      const inside = rows.measured(`work.${job}`, column)?.p50;
      const outside = rows.measured(`work.${job}`, 'host')?.p50;
      return inside === undefined || outside === undefined || outside === 0
        ? []
        : [{ job, words, ratio: inside / outside }];
    });
  const [container, vm] = [told('container'), told('vm')];
  if (container.length === 0 && vm.length === 0) return undefined;
  const list = (jobs: ReturnType<typeof told>) =>
    jobs.map(({ words, ratio }) => `${words} ${formatRatio(ratio)}`).join(', ');
  const parts = [
    ...(container.length === 0 ? [] : [`in the container: ${list(container)}`]),
    ...(vm.length === 0 ? [] : [`in the VM: ${list(vm)}`]),
  ];
  const cited = new Set([...container, ...vm].map(({ job }) => `work.${job}`));
  return { text: `Time of the fixed jobs against the host’s own, ${parts.join('; ')}.`, rows: [...cited] };
};

const border: Rule = (rows) => {
  const container = rows.text('isolation.host-syscalls', 'container');
  const vm = rows.text('isolation.host-syscalls', 'vm');
  const outside = rows.text('isolation.outside', 'vm');
  if (container === undefined || vm === undefined || outside === undefined) return undefined;
  return {
    text: `The container’s programs call the host’s kernel themselves (${container} system calls admitted). The VM’s call their own; what faces the host’s kernel is its monitor, which they would first have to take over (${outside.replace(/^monitor: /, '')}; ${vm} admitted).`,
    rows: ['isolation.kernel', 'isolation.host-syscalls', 'isolation.outside'],
  };
};

const panic: Rule = (rows) => {
  const vm = rows.text('isolation.panic', 'vm');
  if (vm === undefined) return undefined;
  const container = rows.text('isolation.panic', 'container');
  const other =
    container === undefined
      ? ''
      : ` A panic in a container would be that of ${container}, as they share one kernel; that was not tried.`;
  return {
    text: `A guest’s kernel was panicked on purpose: the host and another guest went on.${other}`,
    rows: ['isolation.panic'],
  };
};

const advice: Rule = (rows) => {
  const ownKernel = rows.value('isolation.kernel', 'vm') === 1;
  const vm = rows.measured('deploy.total', 'vm') ?? rows.measured('deploy.create', 'vm');
  const container = rows.measured('deploy.total', 'container') ?? rows.measured('deploy.create', 'container');
  const [vmMemory, containerMemory] = [
    rows.measured('memory.next', 'vm'),
    rows.measured('memory.next', 'container'),
  ];
  if (!ownKernel || !vm || !container || !vmMemory || !containerMemory) return undefined;
  const cheaper = container.p50 < vm.p50 && containerMemory.p50 < vmMemory.p50;
  const text = cheaper
    ? 'On this host: a container for what you trust, for many instances and for short jobs; a VM for code you do not trust or that needs its own kernel, where its start and its memory are worth the border.'
    : 'On this host the container is not cheaper in both start and memory: the VM’s stronger border costs little here.';
  return { text, rows: ['deploy.total', 'memory.next', 'isolation.kernel'] };
};

const alone: Rule = (_rows, head) => {
  const [absent] = head.absent;
  if (absent === undefined) return undefined;
  return { text: `There is no comparison with the ${absent.isolation}: ${absent.reason}.`, rows: [] };
};

/** The answer first, then what it rests on. */
const RULES: readonly Rule[] = [alone, advice, speed, boots, memory, work, border, panic, emulation];

export function conclude(sections: readonly CompareSection[], head: Head): CompareSentence[] {
  const rows = new Rows(sections);
  return RULES.map((rule) => rule(rows, head)).filter((sentence) => sentence !== undefined);
}
